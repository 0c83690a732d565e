/** What this host offers to be booked, in Nova's resource classes. Totals are the machine's; what is used the controller knows. */

import { open, readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { Fault } from "../proto/fault.js";
import type { Inventory } from "../proto/gen/ferry/v1/model.js";
import type { World } from "./verbs/verb.js";

const GIB = 1024 ** 3;

export async function readInventories({
  config,
  files,
}: Pick<World, "config" | "files">): Promise<Inventory[]> {
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
  return [
    of("VCPU", availableParallelism(), 0, config.cpu_allocation_ratio),
    of("MEMORY_MB", await memoryTotalMib(), config.reserved_host_memory_mb, config.ram_allocation_ratio),
    of(
      "DISK_GB",
      Math.floor(totalBytes / GIB),
      Math.ceil(config.reserved_host_disk_mb / 1024),
      config.disk_allocation_ratio,
    ),
  ];
}

async function memoryTotalMib(): Promise<number> {
  const kib = /^MemTotal:\s+(\d+) kB$/m.exec(await readFile("/proc/meminfo", "utf8"))?.[1];
  if (kib === undefined) throw new Fault("failed", "/proc/meminfo does not say MemTotal");
  return Math.floor(Number(kib) / 1024);
}
