/** Spans and segments: every leaf once, in order, with bounded data. */

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LEAF_BYTES } from "../../../agent/transfer/protocol.js";
import { leafRanges, wrongLeaves } from "../../../agent/transfer/read-back.js";
import { cutSegments, spansOf } from "../../../agent/transfer/segment-plan.js";

const extents = fc
  .array(fc.tuple(fc.nat(400), fc.integer({ min: 1, max: 300 }), fc.nat(LEAF_BYTES - 1)), { maxLength: 10 })
  .map(list => {
    let at = 0;
    return list.map(([gap, length, ragged]) => {
      const start = at + gap * LEAF_BYTES + ragged;
      at = start + length * 1000;
      return { start, end: at };
    });
  });

describe("a plan", () => {
  it("covers the window once, in order, with at most 128 leaves of data per segment", () => {
    const window = { first: 3, count: 5000 };
    fc.assert(
      fc.property(extents, list => {
        const ranges = leafRanges(list, window);
        let next = window.first;
        for (const group of cutSegments(spansOf(ranges, window))) {
          const data = group.filter(({ kind }) => kind === "data").reduce((sum, { count }) => sum + count, 0);
          expect(data).toBeLessThanOrEqual(128);
          for (const span of group) {
            expect(span.first).toBe(next);
            next += span.count;
          }
        }
        expect(next).toBe(window.first + window.count);
      }),
    );
  });

  it("reads every leaf that an extent touches", () => {
    const within = { first: 0, count: 10 };
    const touching = [
      { start: 1, end: 2 },
      { start: LEAF_BYTES - 1, end: LEAF_BYTES + 1 },
      { start: 4 * LEAF_BYTES, end: 5 * LEAF_BYTES },
      { start: 9 * LEAF_BYTES + 5, end: 30 * LEAF_BYTES },
    ];
    expect(leafRanges(touching, within)).toEqual([
      { first: 0, count: 2 },
      { first: 4, count: 1 },
      { first: 9, count: 1 },
    ]);
  });
});

describe("a read-back", () => {
  const range = { first: 10, count: 4 };
  const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];

  it("is right when every leaf is what was sent", () => {
    expect(wrongLeaves(range, new Map([[11, one]]), new Map([[11, one]]))).toEqual([]);
  });

  it("is wrong where a leaf differs, is missing, or is not zero", () => {
    const expected = new Map([
      [10, one],
      [11, one],
    ]);
    const found = new Map([
      [10, two],
      [13, two],
    ]);
    expect(wrongLeaves(range, expected, found)).toEqual([10, 11, 13]);
  });
});
