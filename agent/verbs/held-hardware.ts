/**
 * What this host has and what guests hold of it, read now: the journal's bookings, and the definitions of those domains
 * that it has no booking for (adopted by an older Ferry, or not Ferry's at all).
 */

import { Fault } from "../../proto/fault.js";
import type { FreeHardware } from "../../proto/gen/ferry/v1/host.js";
import { freeHardware, type Hardware, type Held } from "../claim/free-hardware.js";
import { bookingOfDomain } from "../claim/hardware-booking.js";
import { type Domain, readDomain } from "../domain/domain-xml.js";
import type { DomainSummary } from "../os/hypervisor.js";
import { readCpu } from "../probe/cpu.js";
import { readMemory } from "../probe/memory.js";
import { readNumaCells } from "../probe/numa.js";
import { readPciDevices } from "../probe/pci.js";
import { openTrees } from "../probe/roots.js";
import { TRIAL_PREFIX } from "./trial-definition.js";
import type { World } from "./verb.js";

export interface HostHardware extends Hardware {
  readonly defaultPageKib: number | undefined;
}

export async function readHostHardware({ roots, log }: Pick<World, "roots" | "log">): Promise<HostHardware> {
  const trees = openTrees(roots, problem => log.debug({ problem }, "not known of this host"));
  const [cpu, memory, pciDevices] = await Promise.all([
    readCpu(trees),
    readMemory(trees, []),
    readPciDevices(trees.sys),
  ]);
  const cells = await readNumaCells(trees.sys, cpu.topology);
  return { cpu, cells, pciDevices, defaultPageKib: memory.hugePageDefaultKib };
}

export const readFreeHardware = async (world: World): Promise<FreeHardware> => {
  const hardware = await readHostHardware(world);
  return freeHardware(hardware, world.config, await heldHardware(hardware, () => false, world));
};

/** `isOwn`: the incarnation that asks, perhaps again; what it had booked before does not stand in its own way. */
export async function heldHardware(
  hardware: HostHardware,
  isOwn: (incarnation: string) => boolean,
  world: World,
): Promise<Held[]> {
  const isOther = ({ incarnation = "" }: { readonly incarnation: string | undefined }) => !isOwn(incarnation);
  const defined = (await definedDomains(world)).filter(isOther);
  // Read last and at once: whoever was booked while the definitions were read is in it.
  const booked = world.bookings.list().filter(isOther);
  const runs = (incarnation: string) => defined.some(one => one.incarnation === incarnation && one.runs);
  const isBooked = (incarnation: string | undefined) =>
    booked.some(booking => booking.incarnation === incarnation);
  return [
    ...booked.map(({ incarnation, hardware: held }) => ({ ...held, runs: runs(incarnation) })),
    ...defined
      .filter(({ incarnation }) => !isBooked(incarnation))
      .map(({ domain, runs: isRunning }) => ({ ...bookingOfDomain(domain, hardware), runs: isRunning })),
  ];
}

interface DefinedDomain {
  readonly domain: Domain;
  readonly incarnation: string | undefined;
  readonly runs: boolean;
}

/** Trials are gone in a moment, and a former copy of a server that lives elsewhere may not start. */
async function definedDomains({ hypervisor, fence, guests }: World): Promise<DefinedDomain[]> {
  const found: DefinedDomain[] = [];
  for (const summary of await hypervisor.listDomains()) {
    if (summary.name.startsWith(TRIAL_PREFIX) || guests.find(summary.uuid)?.role === "retired") continue;
    const xml = await inactiveXml(summary, hypervisor);
    if (xml === undefined) continue;
    const incarnation = fence.incarnationOf(xml);
    found.push({ domain: readDomain(xml), incarnation, runs: summary.state !== "shut-off" });
  }
  return found;
}

/** Undefined when it was undefined in the meantime. */
async function inactiveXml(
  { uuid }: DomainSummary,
  hypervisor: World["hypervisor"],
): Promise<string | undefined> {
  try {
    return await hypervisor.domainXml(uuid, "inactive");
  } catch (error) {
    if (error instanceof Fault && error.code === "not-found") return undefined;
    throw error;
  }
}
