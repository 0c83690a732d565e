/** What this host offers to be booked, in Nova's resource classes. Totals are the machine's; what is used the controller knows. */

import { open, readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { Fault } from "../proto/fault.js";
import type { Inventory } from "../proto/gen/ferry/v1/model.js";
import { parseRangeList } from "../proto/range-list.js";
import { type CpuSets, cpuSets } from "./claim/free-hardware.js";
import { openTrees } from "./probe/roots.js";
import type { World } from "./verbs/verb.js";

const GIB = 1024 ** 3;

export async function readInventories(
  world: Pick<World, "config" | "files" | "roots">,
): Promise<Inventory[]> {
  const { config, files } = world;
  const [folder = ""] = config.image_dirs;
  await using directory = await open(folder, "r");
  const { totalBytes } = await files.fileSystem(directory.fd);
  const of = (
    resourceClass: string,
    total: number,
    reserved: number,
    allocationRatio: number,
  ): Inventory => ({
    resourceClass,
    total,
    reserved,
    allocationRatio,
    used: 0,
  });
  const { shared, dedicated } = await onlineSets(world);
  return [
    ...(shared > 0 ? [of("VCPU", shared, 0, config.cpu_allocation_ratio)] : []),
    ...(dedicated > 0 ? [of("PCPU", dedicated, 0, 1)] : []),
    of("MEMORY_MB", await memoryTotalMib(), config.reserved_host_memory_mb, config.ram_allocation_ratio),
    of(
      "DISK_GB",
      Math.floor(totalBytes / GIB),
      Math.ceil(config.reserved_host_disk_mb / 1024),
      config.disk_allocation_ratio,
    ),
  ];
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
