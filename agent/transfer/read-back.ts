/**
 * Reading a target back, past the page cache where that means the device (SAFETY R12).
 *
 * The mode is what really takes place, decided by the file system under the open file, never by wish:
 * `direct-local` only on the allow-list and only where the kernel names an alignment for direct I/O (it does not for
 * files that are encrypted, inline or journalled as data); `remote-server` where direct I/O asks a server; otherwise
 * `cache`, after the data was flushed and dropped from the page cache.
 */

import type { Files } from "../os/files.js";
import { ZERO_LEAF_DIGEST } from "./digest-tree.js";
import { DIGEST_BYTES, LEAF_BYTES } from "./protocol.js";

export type ReadBackMode = "direct-local" | "remote-server" | "cache";

const EXT4_MAGIC = 0xef53;
const XFS_MAGIC = 0x58465342;
const NFS_MAGIC = 0x6969;

const LOCAL_DEVICE = new Set([EXT4_MAGIC, XFS_MAGIC]);

/** One call of the hasher; bounds how long a cancel has to wait for it. */
const HASH_BYTES = 64 * 1024 * 1024;

export async function readBackModeOf(files: Files, fd: number): Promise<ReadBackMode> {
  const magic = (await files.fileSystem(fd)).magic >>> 0;
  if (magic === NFS_MAGIC) return "remote-server";
  if (!LOCAL_DEVICE.has(magic)) return "cache";
  const alignment = await files.directAlignment(fd);
  return alignment.offset > 0 && LEAF_BYTES % alignment.offset === 0 ? "direct-local" : "cache";
}

export interface LeafRange {
  readonly first: number;
  readonly count: number;
}

/**
 * Digests of the leaves of `range` that are not all zero, by leaf number. Leaves that the file system calls holes are
 * zero by its own word and are not read. The data must be durable already.
 */
export async function readLeaves(
  files: Files,
  file: { readonly fd: number; readonly sizeBytes: number },
  range: LeafRange,
  mode: ReadBackMode,
): Promise<Map<number, Buffer>> {
  const offset = range.first * LEAF_BYTES;
  const length = Math.min(range.count * LEAF_BYTES, file.sizeBytes - offset);
  if (mode === "cache") await files.dropCache(file.fd, offset, length);
  // The very file that was written, whatever its name is by now.
  const path = `/proc/self/fd/${file.fd}`;
  const found = new Map<number, Buffer>();
  for (const { first, count } of leafRanges(await files.extents(file.fd, offset, length), range)) {
    const start = first * LEAF_BYTES;
    const end = Math.min((first + count) * LEAF_BYTES, file.sizeBytes);
    for (let at = start; at < end; at += HASH_BYTES) {
      const part = { offset: at, length: Math.min(HASH_BYTES, end - at), leafBytes: LEAF_BYTES };
      const { digests, zero } = await files.hashLeaves(path, { ...part, direct: mode !== "cache" });
      collect(found, at / LEAF_BYTES, digests, zero);
    }
  }
  return found;
}

function collect(found: Map<number, Buffer>, first: number, digests: Buffer, zero: Uint8Array): void {
  for (let index = 0; index * DIGEST_BYTES < digests.length; index += 1) {
    if (zero[index] === 1) continue;
    found.set(first + index, digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES));
  }
}

/** Extents rounded out to leaves, clipped to the range, neighbours merged. */
export function leafRanges(
  extents: readonly { readonly start: number; readonly end: number }[],
  within: LeafRange,
): LeafRange[] {
  const ranges: { first: number; count: number }[] = [];
  for (const { start, end } of extents) {
    const first = Math.max(Math.floor(start / LEAF_BYTES), within.first);
    const past = Math.min(Math.ceil(end / LEAF_BYTES), within.first + within.count);
    const last = ranges.at(-1);
    if (last !== undefined && first <= last.first + last.count) {
      last.count = Math.max(last.count, past - last.first);
    } else if (past > first) ranges.push({ first, count: past - first });
  }
  return ranges;
}

/** Does what was read back equal what was expected? Returns the leaves that do not. */
export function wrongLeaves(
  range: LeafRange,
  expected: ReadonlyMap<number, Buffer>,
  found: ReadonlyMap<number, Buffer>,
): number[] {
  const wrong: number[] = [];
  for (const [leaf, digest] of expected) {
    if (!digest.equals(found.get(leaf) ?? ZERO_LEAF_DIGEST)) wrong.push(leaf);
  }
  for (const leaf of found.keys()) {
    const inside = leaf >= range.first && leaf < range.first + range.count;
    if (inside && !expected.has(leaf)) wrong.push(leaf);
  }
  return wrong.sort((a, b) => a - b);
}
