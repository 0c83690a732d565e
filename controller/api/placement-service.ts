/** PlacementService: what a person says of hosts, what is booked, and whether the bookings are right. */

import { PlacementServiceService } from "../../proto/gen/ferry/v1/placement.js";
import { implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import { auditPlacement } from "../placement/audit.js";
import { listBookings } from "../placement/bookings.js";
import type { Api } from "./api.js";

export function placementService({ fleet, aggregates, store, policy }: Api): ServiceImplementation {
  return implement<typeof PlacementServiceService>(PlacementServiceService, {
    setHostPlacement: async ({ host, addTraits, removeTraits, availabilityZone }) => {
      await fleet.show(host);
      if (availabilityZone !== undefined) await aggregates.setZone(host, availabilityZone);
      await fleet.changeTraits(host, addTraits, removeTraits);
      return { host: await fleet.show(host) };
    },
    showPlacement: async ({ host }) => ({
      hosts: host === "" ? await fleet.list() : [await fleet.show(host)],
      allocations: await listBookings(store.queries, host),
    }),
    auditPlacement: async ({ heal }, { identity }) => {
      if (heal) policy.requireHeal(identity);
      return { findings: await auditPlacement(store, { heal }) };
    },
  });
}
