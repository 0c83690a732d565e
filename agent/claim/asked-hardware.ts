/**
 * What a server asks of the hardware of its target. Pure.
 *
 * Migrated, it stays the machine that it is: its cells come from the definition, how they are served from the words of
 * its flavor where these fit the machine, else from the definition alone. Resized, it becomes what the new flavor
 * says. Ports of a physical network come along either way.
 */

import type { DevicePolicy, GuestHardware } from "../../proto/fit/guest-hardware.js";
import { hardwareWords, readGuestHardware } from "../../proto/fit/read-guest-hardware.js";
import type { AssignedDevice } from "../../proto/gen/ferry/v1/agent.js";
import { assignedElements } from "../domain/assigned-devices.js";
import type { Domain } from "../domain/domain-xml.js";
import { guestCells } from "../domain/guest-cells.js";
import { hardwareWordsOf } from "../domain/hardware-words.js";

type ExtraSpecs = Readonly<Record<string, string>>;

export interface HardwareQuestion {
  /** As it is at the source. */
  readonly domain: Domain;
  /** Of the flavor that the server has. */
  readonly extraSpecs: ExtraSpecs;
  /** As the source names them, in the order of `assignedElements`. */
  readonly assigned: readonly AssignedDevice[];
  /** Absent unless the server is resized and a flavor says, or said, something of hardware. */
  readonly resize:
    | { readonly extraSpecs: ExtraSpecs; readonly vcpus: number; readonly ramMib: number }
    | undefined;
}

export function askedHardware({ domain, extraSpecs, assigned, resize }: HardwareQuestion): GuestHardware {
  const policy = extraSpecs["hw:pci_numa_affinity_policy"] as DevicePolicy | undefined;
  const kinds = assignedElements(domain.root).map(({ kind }) => kind);
  const requests = assigned.map(({ alias }, index) => ({
    alias,
    policy,
    isPort: kinds[index] !== "hostdev",
  }));
  const request = ({ alias, policy: own }: (typeof requests)[number]) => ({ alias, policy: own });
  if (resize !== undefined) {
    const asked = readGuestHardware(hardwareWords(resize.extraSpecs), resize);
    return { ...asked, devices: [...asked.devices, ...requests.filter(({ isPort }) => isPort).map(request)] };
  }
  return { ...asMachine(domain, extraSpecs), devices: requests.map(request) };
}

/** The flavor's words where they mean this machine; a definition that was changed since goes before them. */
function asMachine(domain: Domain, extraSpecs: ExtraSpecs): GuestHardware {
  const own = readWords(hardwareWordsOf(domain), domain);
  const words = hardwareWords(extraSpecs);
  if (Object.keys(words).length === 0) return own;
  const told = readGuestHardware(words, {
    vcpus: domain.vcpus,
    ramMib: wholeMib(words) ?? Math.ceil(domain.memoryKib / KIB_PER_MIB),
  });
  const cells = guestCells(domain);
  const isSameMachine =
    told.cells.length === cells.length &&
    cells.every(({ vcpus }, index) => told.cells[index]?.vcpus.join() === vcpus.join());
  return isSameMachine ? withMemory(told, domain) : own;
}

const readWords = (words: ExtraSpecs, domain: Domain): GuestHardware =>
  withMemory(
    readGuestHardware(words, {
      vcpus: domain.vcpus,
      ramMib: wholeMib(words) ?? Math.ceil(domain.memoryKib / KIB_PER_MIB),
    }),
    domain,
  );

const KIB_PER_MIB = 1024;

/** What cells by number add up to, each rounded up. */
function wholeMib(words: ExtraSpecs): number | undefined {
  const sizes = Object.entries(words).filter(([name]) => name.startsWith("hw:numa_mem."));
  return sizes.length === 0 ? undefined : sizes.reduce((sum, [, size]) => sum + Number(size), 0);
}

/** To the KiB, as it is defined. */
function withMemory(guest: GuestHardware, domain: Domain): GuestHardware {
  const cells = guestCells(domain);
  if (cells.length !== guest.cells.length) return guest;
  return {
    ...guest,
    cells: guest.cells.map((cell, index) => ({
      ...cell,
      memoryKib: cells[index]?.memoryKib ?? cell.memoryKib,
    })),
  };
}
