/** The digest tree: official digests, a root that depends on every leaf, zeros that cost nothing, files read where they lie. */

import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, mkdtemp, open, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nativeEngine } from "../../agent/os/engine.js";
import type { DigestTree } from "../../agent/os/files.js";
import { nativeFiles } from "../../agent/os/native-files.js";
import { leafRanges, runsOf } from "../../agent/transfer/digest-tree.js";
import { LEAF_BYTES } from "../../agent/transfer/protocol.js";

const KIB = 1024;
const MIB = 1024 * KIB;
const files = nativeFiles();
const engine = nativeEngine();
const sha256 = (bytes: string | Uint8Array) => createHash("sha256").update(bytes).digest();
const newTree = (sizeBytes: number, algorithm = "sha256") => files.newDigestTree(sizeBytes, algorithm);

function treeOf(leaves: readonly (string | 0)[]): DigestTree {
  const tree = newTree(leaves.length * LEAF_BYTES);
  for (const [index, leaf] of leaves.entries()) {
    if (leaf === 0) tree.setZero(index, 1);
    else tree.set(index, sha256(leaf));
  }
  return tree;
}

/** The input of BLAKE3's official test vectors: 0, 1, … 250, 0, 1, … */
const vectorInput = (length: number) => Buffer.from(Array.from({ length }, (_, index) => index % 251));

describe("a leaf", () => {
  it.runIf(engine.algorithms.includes("blake3")).each([
    [1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"],
    [1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"],
    [2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"],
    [102_400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"],
  ])("of %i bytes has the digest of BLAKE3's own test vectors", async (length, digest) => {
    const tree = newTree(length, "blake3");
    await tree.hash(0, vectorInput(length));
    expect(tree.digestsOf(0, 1).toString("hex")).toBe(digest);
  });

  it("has its SHA-256 where that is asked for", async () => {
    const bytes = Buffer.concat([randomBytes(LEAF_BYTES), Buffer.alloc(LEAF_BYTES), randomBytes(10)]);
    const tree = newTree(bytes.length);
    await tree.hash(0, bytes);
    expect(tree.digestsOf(0, 1)).toEqual(sha256(bytes.subarray(0, LEAF_BYTES)));
    expect(tree.stateOf(1)).toBe("zero");
    expect(tree.digestsOf(2, 1)).toEqual(sha256(bytes.subarray(2 * LEAF_BYTES)));
    expect(tree.dataBytes).toBe(LEAF_BYTES + 10);
  });

  it("has no digest of an algorithm that nobody knows", () => {
    expect(() => newTree(1, "md5")).toThrow(/algorithm/);
  });
});

describe("a digest tree", () => {
  it("has the root that its definition gives", () => {
    const expected = createHash("sha256")
      .update(`ferry-digest-tree/1\0sha256\0${2 * LEAF_BYTES}\0${LEAF_BYTES}\0`)
      .update(sha256("a"))
      .update(Buffer.alloc(32))
      .digest("hex");
    expect(treeOf(["a", 0]).root().toString("hex")).toBe(expected);
  });

  it("has another root when a leaf, the order, the size or the algorithm is another", () => {
    const trees = [
      treeOf(["a", "b"]),
      treeOf(["b", "a"]),
      treeOf(["a", "c"]),
      treeOf(["a", 0]),
      treeOf(["a", "b", 0]),
    ];
    for (const algorithm of engine.algorithms) {
      const short = newTree(2 * LEAF_BYTES - 1, algorithm);
      short.set(0, Buffer.concat([sha256("a"), sha256("b")]));
      trees.push(short);
    }
    const roots = trees.map(tree => tree.root().toString("hex"));
    expect(new Set(roots).size).toBe(roots.length);
  });

  it("does not depend on the order in which leaves become known, nor on how zeros are told", () => {
    const leaf = fc.oneof(fc.constant(0 as const), fc.constantFrom("x", "y", "z"));
    fc.assert(
      fc.property(fc.array(leaf, { minLength: 1, maxLength: 40 }), leaves => {
        const backwards = newTree(leaves.length * LEAF_BYTES);
        backwards.setZero(0, leaves.length);
        for (const [index, value] of [...leaves.entries()].toReversed()) {
          if (value !== 0) backwards.set(index, sha256(value));
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
        const tree = newTree(9001 * LEAF_BYTES);
        for (const [first, count, isZero] of list) {
          if (isZero) tree.setZero(first, Math.min(count, 9001 - first));
          else tree.set(first, sha256("d"));
        }
        let next = 0;
        for (const run of runsOf(tree)) {
          expect(run.first).toBe(next);
          expect(tree.stateOf(run.first)).toBe(run.state);
          expect(tree.stateOf(run.first + run.count - 1)).toBe(run.state);
          next += run.count;
        }
        expect(next).toBe(9001);
      }),
    );
  });

  it("has no root before every leaf is known, and no leaves beyond its end", () => {
    const tree = newTree(2 * LEAF_BYTES);
    tree.setZero(1, 1);
    expect(tree.isComplete).toBe(false);
    expect(() => tree.root()).toThrow(/every leaf/);
    expect(() => tree.setZero(1, 2)).toThrow(RangeError);
    expect(() => tree.set(2, sha256("x"))).toThrow(RangeError);
    expect(() => tree.stateOf(2)).toThrow(RangeError);
  });
});

describe("a file", () => {
  let directory: string;
  let handle: FileHandle;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "ferry-digest-"));
    handle = await open(join(directory, "file"), "w+");
  });

  afterEach(async () => {
    await handle.close();
    await rm(directory, { recursive: true });
  });

  const path = () => join(directory, "file");

  it("gives the digests of its bytes, cached or read past the cache, whatever its size", async () => {
    for (const size of [1, 4096, LEAF_BYTES, 3 * LEAF_BYTES + 12_345, 9 * LEAF_BYTES]) {
      await truncate(path(), 0);
      await handle.write(randomBytes(size), 0, size, 0);
      await handle.sync();
      const inMemory = newTree(size);
      await inMemory.hash(0, await readFile(path()));
      for (const direct of [false, true]) {
        const tree = newTree(size);
        expect(await tree.read(handle.fd, 0, tree.leafCount, direct)).toBe(size);
        expect(tree.root()).toEqual(inMemory.root());
      }
    }
  });

  it("is read only where it has data", async () => {
    await handle.truncate(8 * MIB);
    await handle.write(randomBytes(MIB), 0, MIB, 2 * MIB);
    await handle.write(randomBytes(100), 0, 100, 8 * MIB - 100);
    await handle.sync();
    const tree = newTree(8 * MIB);
    expect(await tree.read(handle.fd, 0, tree.leafCount, true)).toBe(MIB + LEAF_BYTES);
    expect(tree.dataBytes).toBe(MIB + LEAF_BYTES);
  });

  it("that has zeros written as zeros has zero leaves", async () => {
    await writeFile(path(), Buffer.alloc(MIB), { flush: true });
    const tree = newTree(MIB);
    expect(await tree.read(handle.fd, 0, 4, false)).toBe(MIB);
    expect(tree.dataBytes).toBe(0);
    expect(tree.isComplete).toBe(true);
  });

  it("that is shorter than its tree is refused, instead of calling the rest zero", async () => {
    await handle.write(randomBytes(LEAF_BYTES), 0, LEAF_BYTES, 0);
    await expect(newTree(2 * LEAF_BYTES).read(handle.fd, 0, 2, false)).rejects.toMatchObject({
      code: "ENODATA",
    });
  });
});

it("extents are rounded out to every leaf that they touch", () => {
  const touching = [
    { start: 1, end: 2 },
    { start: LEAF_BYTES - 1, end: LEAF_BYTES + 1 },
    { start: 4 * LEAF_BYTES, end: 5 * LEAF_BYTES },
    { start: 9 * LEAF_BYTES + 5, end: 30 * LEAF_BYTES },
  ];
  expect(leafRanges(touching, { first: 0, count: 10 })).toEqual([
    { first: 0, count: 2 },
    { first: 4, count: 1 },
    { first: 9, count: 1 },
  ]);
});
