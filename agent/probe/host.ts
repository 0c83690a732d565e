/**
 * The description of this host: everything that the scheduler, the checks of a migration and a person need to
 * know of it, read from the kernel and from libvirt.
 *
 * It always answers. What could not be read is absent, and each such gap is one line in `problems`.
 */

import type { HostDescription } from "../../proto/gen/ferry/v1/host.js";
import { readCpu } from "./cpu.js";
import { readFirmware } from "./firmware.js";
import { answered, type HypervisorFacts, readHypervisor } from "./hypervisor.js";
import { readIdentity } from "./identity.js";
import { readMemory } from "./memory.js";
import { type Mount, parseMounts } from "./mounts.js";
import { readBridges } from "./network.js";
import { readNumaCells } from "./numa.js";
import { readPciDevices } from "./pci.js";
import { openTrees, type Roots, type Trees } from "./roots.js";
import type { SpaceProbe } from "./space.js";
import { readImageDirectories, readStoragePools } from "./storage.js";
import type { SystemReading } from "./system.js";
import type { Report } from "./tree.js";

export interface HostSources {
  readonly roots: Roots;
  readonly hypervisor: HypervisorFacts;
  readonly space: SpaceProbe;
  readonly imageDirectories: readonly string[];
  /** `readSystemOnce()`. */
  readonly system: () => Promise<SystemReading>;
}

export async function describeHost(sources: HostSources): Promise<HostDescription> {
  const problems = new Set<string>();
  const report: Report = problem => problems.add(problem);
  const trees = openTrees(sources.roots, report);
  const mounts = (await trees.proc.value("self/mountinfo", parseMounts)) ?? [];
  const [hardware, offers, { architecture, description: hypervisor }, identity, system] = await Promise.all([
    readHardware(trees, mounts),
    readOffers(sources, mounts, report),
    readHypervisor(sources.hypervisor, report),
    readIdentity(trees),
    sources.system(),
  ]);
  for (const problem of system.problems) report(problem);
  return {
    ...identity,
    architecture: identity.architecture ?? architecture,
    ...hardware,
    ...offers,
    hypervisor,
    firmware: await readFirmware(trees),
    system: system.system,
    problems: [...problems].sort(),
  };
}

async function readHardware(trees: Trees, mounts: readonly Mount[]) {
  const [cpu, memory, pciDevices, bridges] = await Promise.all([
    readCpu(trees),
    readMemory(trees, mounts),
    readPciDevices(trees.sys),
    readBridges(trees.sys),
  ]);
  const numaCells = await readNumaCells(trees.sys, cpu.topology);
  return { cpu, memory, pciDevices, bridges, numaCells };
}

/** Where a guest's disks can lie and what its interfaces can be plugged into, as libvirt and the agent offer it. */
async function readOffers(
  { hypervisor, space, imageDirectories }: HostSources,
  mounts: readonly Mount[],
  report: Report,
) {
  const measure = (path: string) => space.space(path, mounts, report);
  const [pools, networks] = await Promise.all([
    answered("storage pools", report, () => hypervisor.storagePools()),
    answered("networks", report, () => hypervisor.networks()),
  ]);
  return {
    storagePools: await readStoragePools(pools ?? [], measure),
    imageDirectories: await readImageDirectories(imageDirectories, measure),
    networks: (networks ?? []).map(({ name, active, bridge }) => ({ name, active, bridge })),
  };
}
