/**
 * Makes an ephemeral disk: a sparse raw file with an empty ext4 and the label that guests look for.
 *
 * The file is made new (never over an existing one) and durable when the call returns; a failure removes it, since a
 * half-made file system is worth nothing.
 */

import { unlink } from "node:fs/promises";
import { Fault } from "../../proto/fault.js";
import type { RunTool } from "../os/tool.js";
import { createSparseFile, flushFile } from "./sparse-file.js";

const LEAST_BYTES = 8 * 1024 * 1024;
const MAKE_TIMEOUT_MS = 120_000;

/** Label of the n-th ephemeral disk, as Nova names them. */
export const ephemeralLabel = (index: number): string => `ephemeral${index}`;

export async function createEphemeralDisk(
  runTool: RunTool,
  disk: { readonly path: string; readonly sizeBytes: number; readonly label: string },
): Promise<void> {
  const { path, sizeBytes, label } = disk;
  if (sizeBytes < LEAST_BYTES) {
    throw new Fault("invalid-argument", `an ephemeral disk of ${sizeBytes} bytes is too small for ext4`);
  }
  await createSparseFile(path, sizeBytes);
  try {
    await runTool(["mkfs.ext4", "-q", "-F", "-L", label, path], { timeoutMs: MAKE_TIMEOUT_MS });
    await flushFile(path);
  } catch (error) {
    await unlink(path);
    throw error;
  }
}
