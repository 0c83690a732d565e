/** The digest root of a file at rest, the same that a transfer of it would state. */

import { open } from "node:fs/promises";
import type { Files } from "../os/files.js";
import { DigestTree } from "./digest-tree.js";
import { DIGEST_BYTES, LEAF_BYTES } from "./protocol.js";

/** Leaves digested by one native call. */
const WINDOW_LEAVES = 4096;

/** Hexadecimal. The file must not change meanwhile; `signal` ends the reading between windows. */
export async function digestOfFile(path: string, files: Files, signal: AbortSignal): Promise<string> {
  await using file = await open(path, "r");
  const { sizeBytes } = await files.facts(file.fd);
  const tree = new DigestTree(sizeBytes);
  for (let first = 0; first < tree.leafCount; first += WINDOW_LEAVES) {
    signal.throwIfAborted();
    const offset = first * LEAF_BYTES;
    const length = Math.min(WINDOW_LEAVES * LEAF_BYTES, sizeBytes - offset);
    const { digests, zero } = await files.hashLeaves(path, {
      offset,
      length,
      leafBytes: LEAF_BYTES,
      direct: false,
    });
    for (let index = 0; index * LEAF_BYTES < length; index += 1) {
      if (zero[index] === 1) tree.setZero(first + index, 1);
      else tree.set(first + index, digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES));
    }
  }
  return tree.root().toString("hex");
}
