/**
 * Reading a target back, past the page cache where that means the device (SAFETY R12).
 *
 * The mode is what really takes place, decided by the file system under the open file, never by wish:
 * `direct-local` only on the allow-list and only where the kernel names an alignment for direct I/O (it does not for
 * files that are encrypted, inline or journalled as data); `remote-server` where direct I/O asks a server; otherwise
 * `cache`, after the data was flushed and dropped from the page cache. `none` is for measurements only.
 */

import type { DigestTree, Files } from "../os/files.js";
import type { LeafRange } from "./digest-tree.js";
import { LEAF_BYTES } from "./protocol.js";

export type ReadBackMode = "direct-local" | "remote-server" | "cache" | "none";

const EXT4_MAGIC = 0xef53;
const XFS_MAGIC = 0x58465342;
const NFS_MAGIC = 0x6969;

const LOCAL_DEVICE = new Set([EXT4_MAGIC, XFS_MAGIC]);

export async function readBackModeOf(files: Files, fd: number): Promise<ReadBackMode> {
  const magic = (await files.fileSystem(fd)).magic >>> 0;
  if (magic === NFS_MAGIC) return "remote-server";
  if (!LOCAL_DEVICE.has(magic)) return "cache";
  const alignment = await files.directAlignment(fd);
  return alignment.offset > 0 && LEAF_BYTES % alignment.offset === 0 ? "direct-local" : "cache";
}

/** How the engine is told. */
export const isDirect = (mode: ReadBackMode): boolean => mode === "direct-local" || mode === "remote-server";

/** Makes leaves of a durable file known by reading them in this mode. */
export async function readLeaves(
  files: Files,
  fd: number,
  tree: DigestTree,
  { first, count }: LeafRange,
  mode: ReadBackMode,
): Promise<void> {
  const offset = first * LEAF_BYTES;
  if (!isDirect(mode))
    await files.dropCache(fd, offset, Math.min(count * LEAF_BYTES, tree.sizeBytes - offset));
  await tree.read(fd, first, count, isDirect(mode));
}
