/**
 * What has to be sent of a file, in segments: gapless runs of leaves, each verified and acknowledged as one.
 *
 * Leaves that the target has verified are left out, holes are runs of zeros that cost nothing. A segment ends when it
 * has 32 MiB of data, which bounds what a lost connection can cost.
 */

import type { Files } from "../os/files.js";
import type { LeafRun } from "./digest-tree.js";
import { EXTENT_WINDOW_LEAVES, type OpenedFile } from "./outgoing-file.js";
import { LEAF_BYTES } from "./protocol.js";
import { type LeafRange, leafRanges } from "./read-back.js";

export interface Span extends LeafRange {
  /** `data` is read, and may still turn out to be zero; `hole` is not. */
  readonly kind: "data" | "hole";
}

export interface Segment extends LeafRange {
  readonly file: OpenedFile;
  readonly spans: readonly Span[];
  /** The target found these leaves wrong and asked for them again. */
  readonly isResend: boolean;
}

const SEGMENT_DATA_LEAVES = 128;

/** Segments of all files, lazily; any number of connections may share one such generator. */
export async function* planSegments(files: Files, opened: readonly OpenedFile[]): AsyncGenerator<Segment> {
  for (const file of opened) {
    if (file.isFinished) continue;
    // A snapshot: sending fills the tree while later segments are still being planned.
    const unknown = [...file.digests.runs()].filter(run => run.state === "unknown");
    for (const run of unknown) yield* planRun(files, file, run);
  }
}

/** Leaves that have to be sent again, each by itself. */
export const planResend = (file: OpenedFile, leaves: readonly number[]): Segment[] =>
  leaves.map(first => ({
    file,
    first,
    count: 1,
    spans: [{ first, count: 1, kind: "data" }],
    isResend: true,
  }));

async function* planRun(files: Files, file: OpenedFile, run: LeafRun): AsyncGenerator<Segment> {
  const end = run.first + run.count;
  for (let first = run.first; first < end; first += EXTENT_WINDOW_LEAVES) {
    const window = { first, count: Math.min(EXTENT_WINDOW_LEAVES, end - first) };
    const offset = first * LEAF_BYTES;
    const length = Math.min(window.count * LEAF_BYTES, file.sizeBytes - offset);
    const data = leafRanges(await files.extents(file.fd, offset, length), window);
    for (const spans of cutSegments(spansOf(data, window))) yield segmentOf(file, spans);
  }
}

function segmentOf(file: OpenedFile, spans: readonly Span[]): Segment {
  const count = spans.reduce((sum, span) => sum + span.count, 0);
  return { file, first: spans[0]?.first ?? 0, count, spans, isResend: false };
}

/** Data ranges and the holes between them, covering the window without a gap. */
export function* spansOf(data: readonly LeafRange[], window: LeafRange): Generator<Span> {
  let at = window.first;
  for (const { first, count } of data) {
    if (first > at) yield { first: at, count: first - at, kind: "hole" };
    yield { first, count, kind: "data" };
    at = first + count;
  }
  const end = window.first + window.count;
  if (end > at) yield { first: at, count: end - at, kind: "hole" };
}

/** Groups spans so that no group has more than SEGMENT_DATA_LEAVES leaves of data. */
export function* cutSegments(spans: Iterable<Span>): Generator<readonly Span[]> {
  let group: Span[] = [];
  let room = SEGMENT_DATA_LEAVES;
  for (const span of spans) {
    let { first, count } = span;
    while (count > 0) {
      const taken = span.kind === "hole" ? count : Math.min(count, room);
      group.push({ first, count: taken, kind: span.kind });
      first += taken;
      count -= taken;
      room -= span.kind === "hole" ? 0 : taken;
      if (room === 0) {
        yield group;
        group = [];
        room = SEGMENT_DATA_LEAVES;
      }
    }
  }
  if (group.length > 0) yield group;
}
