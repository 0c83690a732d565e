/**
 * Memory that a copy will need, touched beforehand: the host of a virtual machine takes free memory back, and whoever
 * touches a page that it gives anew pays for that. Which row it would be is chance, and no program's doing.
 */

import { constants } from "node:fs";
import { open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { nativeFiles } from "../../agent/os/native-files.js";

const TMPFS_MAGIC = 0x01021994;

/** Only where files are memory; what it takes is given back before this returns. */
export async function warmMemory(folder: string, bytes: number): Promise<void> {
  if ((await statfs(folder)).type !== TMPFS_MAGIC) return;
  const path = join(folder, "warm");
  try {
    await using file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    await nativeFiles().allocate(file.fd, 0, bytes);
  } finally {
    await rm(path, { force: true });
  }
}
