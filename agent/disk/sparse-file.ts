/**
 * New files for disks: made of holes, never over an existing file, and durable.
 */

import { type FileHandle, open } from "node:fs/promises";
import { Fault } from "../../proto/fault.js";

/**
 * A new file of holes, readable by its owner only; `fill` writes what it begins with.
 * Fault("already-exists") when the name is taken.
 */
export async function createSparseFile(
  path: string,
  sizeBytes: number,
  fill?: (file: FileHandle) => Promise<unknown>,
): Promise<void> {
  const file = await open(path, "wx", 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
    throw new Fault("already-exists", `create ${path}: it exists`, {}, { cause: error });
  });
  try {
    await file.truncate(sizeBytes);
    await fill?.(file);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** All that was written to a file is on its device. */
export async function flushFile(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
