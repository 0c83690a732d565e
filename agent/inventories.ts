/** What this host offers to be booked, in Nova's resource classes. Totals are the machine's; what is used the controller knows. */

import { open, readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { Fault } from "../proto/fault.js";
import type { Inventory } from "../proto/gen/ferry/v1/model.js";
import { parseRangeList } from "../proto/range-list.js";
import { customTotals } from "./claim/custom-totals.js";
import { type CpuSets, cpuSets } from "./claim/free-hardware.js";
import { readNumaCells } from "./probe/numa.js";
import { readPciDevices } from "./probe/pci.js";
import { openTrees } from "./probe/roots.js";
import type { World } from "./verbs/verb.js";

const GIB = 1024 ** 3;

export async function readInventories(
  world: Pick<World, "config" | "files" | "roots" | "log">,
): Promise<Inventory[]> {
  const { config, files } = world;
  const [folder = ""] = config.image_dirs;
  await using directory = await open(folder, "r");
  const { totalBytes } = await files.fileSystem(directory.fd);
  const { shared, dedicated } = await onlineSets(world);
  const memory = { reserved: config.reserved_host_memory_mb, ratio: config.ram_allocation_ratio };
  const disk = {
    reserved: Math.ceil(config.reserved_host_disk_mb / 1024),
    ratio: config.disk_allocation_ratio,
  };
  return [
    ...(shared > 0 ? [offer("VCPU", shared, { ratio: config.cpu_allocation_ratio })] : []),
    ...(dedicated > 0 ? [offer("PCPU", dedicated)] : []),
    offer("MEMORY_MB", await memoryTotalMib(), memory),
    offer("DISK_GB", Math.floor(totalBytes / GIB), disk),
    ...(await customOffers(world)),
  ];
}

const offer = (resourceClass: string, total: number, { reserved = 0, ratio = 1 } = {}): Inventory => ({
  resourceClass,
  total,
  reserved,
  allocationRatio: ratio,
  used: 0,
});

/** What cannot be read is not offered. */
async function customOffers({
  config,
  roots,
  log,
}: Pick<World, "config" | "roots" | "log">): Promise<Inventory[]> {
  const { sys } = openTrees(roots, problem => log.debug({ problem }, "not offered by this host"));
  const cells = await readNumaCells(sys, []);
  const pciDevices = config.pci_alias.length === 0 ? [] : await readPciDevices(sys);
  return [...customTotals({ cells, pciDevices }, config)].map(([name, total]) => offer(name, total));
}

/** CPUs by the configured sets. Without sets every CPU that this program may use is shared. */
async function onlineSets({
  config,
  roots,
}: Pick<World, "config" | "roots">): Promise<Record<keyof CpuSets, number>> {
  if (config.cpu_shared_set === undefined && config.cpu_dedicated_set === undefined)
    return { shared: availableParallelism(), dedicated: 0 };
  const { sys } = openTrees(roots, problem => {
    throw new Fault("failed", problem);
  });
  const { shared, dedicated } = cpuSets(
    config,
    (await sys.value("devices/system/cpu/online", parseRangeList)) ?? [],
  );
  return { shared: shared.length, dedicated: dedicated.length };
}

async function memoryTotalMib(): Promise<number> {
  const kib = /^MemTotal:\s+(\d+) kB$/m.exec(await readFile("/proc/meminfo", "utf8"))?.[1];
  if (kib === undefined) throw new Fault("failed", "/proc/meminfo does not say MemTotal");
  return Math.floor(Number(kib) / 1024);
}
