/** Leaves by number and runs of leaves: what is said about a digest tree in words. The tree itself is the engine's. */

import type { DigestTree } from "../os/files.js";
import { LEAF_BYTES } from "./protocol.js";

export interface LeafRange {
  readonly first: number;
  readonly count: number;
}

/** Neighbouring leaves of one state. */
export interface LeafRun extends LeafRange {
  readonly state: ReturnType<DigestTree["stateOf"]>;
}

/** As many leaves as one `have` frame tells of. */
const DATA_RUN_LEAVES = 4096;

/** Length of one leaf; the last of a file may be short. */
export const leafBytesAt = (leaf: number, sizeBytes: number): number =>
  Math.min(LEAF_BYTES, sizeBytes - leaf * LEAF_BYTES);

/** All leaves as runs in order; a run of data has at most 4,096. */
export function* runsOf(tree: DigestTree): Generator<LeafRun> {
  for (let first = 0; first < tree.leafCount; ) {
    const state = tree.stateOf(first);
    const count = tree.runFrom(first, state === "data" ? DATA_RUN_LEAVES : tree.leafCount);
    yield { first, count, state };
    first += count;
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
