/** The digest tree: a root that depends on every leaf, zeros that cost nothing, runs that cover the file. */

import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DigestTree } from "../../../agent/transfer/digest-tree.js";
import { LEAF_BYTES } from "../../../agent/transfer/protocol.js";

const digestOf = (text: string) => createHash("sha256").update(text).digest();

function treeOf(leaves: readonly (string | 0)[]): DigestTree {
  const tree = new DigestTree(leaves.length * LEAF_BYTES);
  for (const [index, leaf] of leaves.entries()) {
    if (leaf === 0) tree.setZero(index, 1);
    else tree.set(index, digestOf(leaf));
  }
  return tree;
}

describe("a digest tree", () => {
  it("has the root that its definition gives", () => {
    const expected = createHash("sha256")
      .update(`ferry-digest-tree/1\0sha256\0${2 * LEAF_BYTES}\0${LEAF_BYTES}\0`)
      .update(digestOf("a"))
      .update(Buffer.alloc(32))
      .digest("hex");
    expect(treeOf(["a", 0]).root().toString("hex")).toBe(expected);
  });

  it("has another root when a leaf, the order or the size is another", () => {
    const trees = [
      treeOf(["a", "b"]),
      treeOf(["b", "a"]),
      treeOf(["a", "c"]),
      treeOf(["a", 0]),
      treeOf(["a", "b", 0]),
    ];
    const short = new DigestTree(2 * LEAF_BYTES - 1);
    short.set(0, digestOf("a"));
    short.set(1, digestOf("b"));
    const roots = [...trees, short].map(tree => tree.root().toString("hex"));
    expect(new Set(roots).size).toBe(roots.length);
  });

  it("does not depend on the order in which leaves become known, nor on how zeros are told", () => {
    const leaf = fc.oneof(fc.constant(0 as const), fc.constantFrom("x", "y", "z"));
    fc.assert(
      fc.property(fc.array(leaf, { minLength: 1, maxLength: 40 }), leaves => {
        const backwards = new DigestTree(leaves.length * LEAF_BYTES);
        backwards.setZero(0, leaves.length);
        for (const [index, value] of [...leaves.entries()].toReversed()) {
          if (value !== 0) backwards.set(index, digestOf(value));
        }
        expect(backwards.root()).toEqual(treeOf(leaves).root());
        expect(backwards.dataBytes).toBe(treeOf(leaves).dataBytes);
      }),
    );
  });

  it("covers the file with runs, without gaps and of one state each", () => {
    const marks = fc.array(fc.tuple(fc.nat(9000), fc.integer({ min: 1, max: 5000 }), fc.boolean()), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(marks, list => {
        const tree = new DigestTree(9001 * LEAF_BYTES);
        for (const [first, count, isZero] of list) {
          if (isZero) tree.setZero(first, Math.min(count, 9001 - first));
          else tree.set(first, digestOf("d"));
        }
        let next = 0;
        for (const run of tree.runs()) {
          expect(run.first).toBe(next);
          expect(tree.stateOf(run.first)).toBe(run.state);
          expect(tree.stateOf(run.first + run.count - 1)).toBe(run.state);
          if (run.state === "data") expect(tree.digestsOf(run).length).toBe(run.count * 32);
          next += run.count;
        }
        expect(next).toBe(9001);
      }),
    );
  });

  it("has no root before every leaf is known", () => {
    const tree = new DigestTree(2 * LEAF_BYTES);
    tree.setZero(1, 1);
    expect(tree.isComplete).toBe(false);
    expect(() => tree.root()).toThrow(/every leaf/);
  });
});
