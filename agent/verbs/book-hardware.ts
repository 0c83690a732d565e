/**
 * Bookings of hardware at the ends of a server's life on this host. Arriving servers are booked in prepare-target,
 * together with everything else that they claim.
 */

import { Fault } from "../../proto/fault.js";
import { fitHardware, type Placement } from "../../proto/fit/fit-hardware.js";
import type { GuestHardware } from "../../proto/fit/guest-hardware.js";
import { whyNotFit } from "../../proto/fit/why-not-fit.js";
import { freeHardware } from "../claim/free-hardware.js";
import { bookingOf, bookingOfDomain } from "../claim/hardware-booking.js";
import { readDomain } from "../domain/domain-xml.js";
import { type HostHardware, heldHardware, readHostHardware } from "./held-hardware.js";
import type { Call, World } from "./verb.js";

/** What a domain has by its definition, unless it is booked already; before it is taken or set aside. */
export async function bookDefined(
  domainXml: string,
  incarnation: string,
  { serverId }: Pick<Call, "serverId">,
  world: World,
): Promise<void> {
  if (world.bookings.list().some(booking => booking.incarnation === incarnation)) return;
  const hardware = bookingOfDomain(readDomain(domainXml), await readHostHardware(world));
  world.bookings.put({ serverId, incarnation, migrationId: "", hardware });
}

export interface NewBooking {
  readonly placement: Placement;
  readonly hardware: HostHardware;
  readonly sharedCpus: readonly number[];
}

/** For a new server; refused with the first thing that this host has too little of. */
export async function bookNew(
  guest: GuestHardware,
  incarnation: string,
  call: Call,
  world: World,
): Promise<NewBooking> {
  const hardware = await readHostHardware(world);
  for (;;) {
    const before = JSON.stringify(world.bookings.list());
    const free = freeHardware(
      hardware,
      world.config,
      await heldHardware(hardware, own => own === incarnation, world),
    );
    const placement = fitHardware(free, guest);
    const [shortage] = placement === undefined ? whyNotFit(free, guest) : [];
    if (shortage !== undefined) {
      const { message, ...detail } = shortage;
      throw new Fault("no-valid-host", `create ${call.serverId} on ${world.config.host}: ${message}`, detail);
    }
    if (placement === undefined || JSON.stringify(world.bookings.list()) !== before) continue;
    world.bookings.put({
      serverId: call.serverId,
      migrationId: "",
      incarnation,
      hardware: bookingOf(placement),
    });
    return { placement, hardware, sharedCpus: free.sharedCpus };
  }
}
