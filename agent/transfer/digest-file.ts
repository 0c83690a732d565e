/**
 * The digest tree of a file as it is on disk now: for second receipts, local copies and later verification.
 *
 * Holes are not read. The answer says in which mode the bytes were read; `cache` proves the page cache only.
 */

import { constants } from "node:fs";
import type { Files } from "../os/files.js";
import { DigestTree } from "./digest-tree.js";
import { openFd, readFull, syncData, withFd } from "./fd-io.js";
import { fileFault } from "./file-fault.js";
import { DIGEST_BYTES, LEAF_BYTES } from "./protocol.js";
import { type LeafRange, leafRanges, type ReadBackMode, readBackModeOf, readLeaves } from "./read-back.js";

export interface FileDigest {
  readonly rootDigest: string;
  readonly sizeBytes: number;
  readonly dataBytes: number;
  readonly holeBytes: number;
  readonly readBackMode: ReadBackMode;
  /** Root over the first `prefixBytes` alone, as if the file ended there; of the whole file unless asked. */
  readonly prefixDigest: string;
}

export interface DigestOptions {
  readonly signal?: AbortSignal;
  readonly prefixBytes?: number;
}

const WINDOW_LEAVES = 4096;
const HELD_LEAVES = 16;

/** Flushes the file first, so that what is read is what is durable. */
export async function digestFile(
  files: Files,
  path: string,
  options: DigestOptions = {},
): Promise<FileDigest> {
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW;
    return await withFd(await openFd(path, flags), fd => digestOpened(files, fd, options));
  } catch (thrown) {
    throw fileFault(thrown, `digest ${path}`);
  }
}

/** The root digest, read through this descriptor alone: to open the file again would break a lease on it. */
export async function digestHeld(
  files: Files,
  fd: number,
  { signal }: Pick<DigestOptions, "signal">,
): Promise<string> {
  const { sizeBytes } = await files.facts(fd);
  const tree = new DigestTree(sizeBytes);
  const whole: LeafRange = { first: 0, count: tree.leafCount };
  tree.setZero(whole.first, whole.count);
  const block = Buffer.allocUnsafeSlow(HELD_LEAVES * LEAF_BYTES);
  for (const { first, count } of leafRanges(await files.extents(fd, 0, sizeBytes), whole)) {
    for (let leaf = first; leaf < first + count; leaf += HELD_LEAVES) {
      signal?.throwIfAborted();
      const into = block.subarray(0, Math.min(HELD_LEAVES, first + count - leaf) * LEAF_BYTES);
      const bytes = into.subarray(0, await readFull(fd, into, leaf * LEAF_BYTES));
      const { digests, zero } = await files.hashBufferLeaves(bytes, LEAF_BYTES);
      for (let index = 0; index < zero.length; index += 1)
        if (zero[index] === 0)
          tree.set(leaf + index, digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES));
    }
  }
  return tree.root().toString("hex");
}

async function digestOpened(files: Files, fd: number, options: DigestOptions): Promise<FileDigest> {
  await syncData(fd);
  const { sizeBytes } = await files.facts(fd);
  const readBackMode = await readBackModeOf(files, fd);
  const tree = new DigestTree(sizeBytes);
  for (let first = 0; first < tree.leafCount; first += WINDOW_LEAVES) {
    options.signal?.throwIfAborted();
    const range: LeafRange = { first, count: Math.min(WINDOW_LEAVES, tree.leafCount - first) };
    tree.setZero(range.first, range.count);
    const found = await readLeaves(files, { fd, sizeBytes }, range, readBackMode);
    for (const [leaf, digest] of found) tree.set(leaf, digest);
  }
  const { dataBytes } = tree;
  const rootDigest = tree.root().toString("hex");
  const prefix = await prefixTree(files, fd, tree, options.prefixBytes ?? sizeBytes, readBackMode);
  const prefixDigest = prefix.root().toString("hex");
  return { rootDigest, sizeBytes, dataBytes, holeBytes: sizeBytes - dataBytes, readBackMode, prefixDigest };
}

/** The same leaves, but for the one that the prefix ends in. */
async function prefixTree(
  files: Files,
  fd: number,
  tree: DigestTree,
  sizeBytes: number,
  mode: ReadBackMode,
): Promise<DigestTree> {
  if (sizeBytes === tree.sizeBytes) return tree;
  const prefix = new DigestTree(sizeBytes);
  prefix.setZero(0, prefix.leafCount);
  const wholeLeaves = Math.floor(sizeBytes / LEAF_BYTES);
  for (let leaf = 0; leaf < wholeLeaves; leaf += 1) {
    const digest = tree.stateOf(leaf) === "data" ? tree.digestOf(leaf) : undefined;
    if (digest !== undefined) prefix.set(leaf, digest);
  }
  if (wholeLeaves === prefix.leafCount) return prefix;
  const last = await readLeaves(files, { fd, sizeBytes }, { first: wholeLeaves, count: 1 }, mode);
  for (const [leaf, digest] of last) prefix.set(leaf, digest);
  return prefix;
}
