/** How much memory and disk this host has left for one more server, after reserve and the claims of others. */

import { open, readFile } from "node:fs/promises";
import type { Call, World } from "../verbs/verb.js";
import { type Claim, remaining } from "./claim.js";

const MIB = 1024 * 1024;

/** MemAvailable less the reserve and other claims; undefined when it cannot be read. */
export async function memoryAvailableMib(call: Call, world: World): Promise<number | undefined> {
  const meminfo = await readFile("/proc/meminfo", "utf8").catch(() => "");
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1];
  if (kib === undefined) return undefined;
  return remaining(
    Math.floor(Number(kib) / 1024),
    world.config.reserved_host_memory_mb,
    otherClaims(call, world),
    "memoryMib",
  );
}

/** Free bytes of the first image folder less the reserve and other claims; undefined when it cannot be read. */
export async function bytesAvailable(call: Call, world: World): Promise<number | undefined> {
  const [folder = ""] = world.config.image_dirs;
  try {
    await using directory = await open(folder, "r");
    const { freeBytes } = await world.files.fileSystem(directory.fd);
    return remaining(freeBytes, world.config.reserved_host_disk_mb * MIB, otherClaims(call, world), "bytes");
  } catch {
    return undefined;
  }
}

const otherClaims = (call: Call, world: World): Claim[] =>
  world.documents
    .list<Claim>("claim")
    .filter(({ migrationId }) => migrationId !== call.migrationId)
    .map(({ body }) => body);
