/**
 * The digest tree of a file as it is on disk now: for second receipts, local copies and later verification.
 *
 * Holes are not read. The answer says in which mode the bytes were read; `cache` proves the page cache only.
 */

import { constants } from "node:fs";
import type { DigestTree, Files } from "../os/files.js";
import type { LeafRange } from "./digest-tree.js";
import { openBelow, openFd, syncData, withFd } from "./fd-io.js";
import { fileFault } from "./file-fault.js";
import { LEAF_BYTES } from "./protocol.js";
import { type ReadBackMode, readBackModeOf, readLeaves } from "./read-back.js";

export interface FileDigest {
  /** Of the root and of every leaf. */
  readonly algorithm: string;
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
  /** The fastest that this build has when left out. */
  readonly algorithm?: string;
}

/** Bounds how long a cancel has to wait, and how often the JavaScript thread hears of a terabyte. */
const WINDOW_LEAVES = 1024;

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

/** As `digestFile`, following no link below `root`. */
export async function digestBelow(
  files: Files,
  path: string,
  root: string,
  options: DigestOptions = {},
): Promise<FileDigest> {
  try {
    const fd = await openBelow(files, path, root, constants.O_RDONLY | constants.O_NOFOLLOW);
    return await withFd(fd, opened => digestOpened(files, opened, options));
  } catch (thrown) {
    throw fileFault(thrown, `digest ${path}`);
  }
}

/** The root digest, read through this descriptor alone: to open the file again would break a lease on it. */
export async function digestHeld(
  files: Files,
  fd: number,
  { signal, algorithm }: Pick<DigestOptions, "signal" | "algorithm">,
): Promise<string> {
  const { sizeBytes } = await files.facts(fd);
  const tree = files.newDigestTree(sizeBytes, algorithm);
  for (const { first, count } of windowsOf(tree)) {
    signal?.throwIfAborted();
    await tree.read(fd, first, count, false);
  }
  return tree.root().toString("hex");
}

function* windowsOf({ leafCount }: DigestTree): Generator<LeafRange> {
  for (let first = 0; first < leafCount; first += WINDOW_LEAVES)
    yield { first, count: Math.min(WINDOW_LEAVES, leafCount - first) };
}

async function digestOpened(files: Files, fd: number, options: DigestOptions): Promise<FileDigest> {
  await syncData(fd);
  const { sizeBytes } = await files.facts(fd);
  const readBackMode = await readBackModeOf(files, fd);
  const tree = files.newDigestTree(sizeBytes, options.algorithm);
  for (const window of windowsOf(tree)) {
    options.signal?.throwIfAborted();
    await readLeaves(files, fd, tree, window, readBackMode);
  }
  const prefix = await prefixTree(files, fd, tree, options.prefixBytes ?? sizeBytes, readBackMode);
  return {
    algorithm: tree.algorithm,
    rootDigest: tree.root().toString("hex"),
    sizeBytes,
    dataBytes: tree.dataBytes,
    holeBytes: sizeBytes - tree.dataBytes,
    readBackMode,
    prefixDigest: prefix.root().toString("hex"),
  };
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
  const prefix = files.newDigestTree(sizeBytes, tree.algorithm);
  const wholeLeaves = Math.floor(sizeBytes / LEAF_BYTES);
  prefix.set(0, tree.digestsOf(0, wholeLeaves));
  if (wholeLeaves < prefix.leafCount)
    await readLeaves(files, fd, prefix, { first: wholeLeaves, count: 1 }, mode);
  return prefix;
}
