import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { looksLikeQcow2, readQcow2Header } from "../../../agent/disk/qcow2-header.js";
import { Fault } from "../../../proto/fault.js";
import { qcow2Image } from "./qcow2-image.js";

const refusal = (bytes: Uint8Array): string => {
  try {
    readQcow2Header(bytes);
  } catch (error) {
    if (error instanceof Fault && error.code === "refused") return error.message;
    throw error;
  }
  return "accepted";
};

describe("a qcow2 header", () => {
  it("says size, backing file with its format, snapshots and bitmaps", () => {
    const image = qcow2Image({ backingFile: "/images/base", backingFormat: "raw", snapshots: 2, bitmaps: 3 });
    expect(readQcow2Header(image)).toEqual({
      version: 3,
      virtualSizeBytes: 64 * 1024 * 1024,
      clusterBits: 16,
      backingFile: "/images/base",
      backingFormat: "raw",
      isEncrypted: false,
      hasExternalDataFile: false,
      snapshotCount: 2,
      bitmapCount: 3,
      isDirty: false,
      isCorrupt: false,
      unknownFeatures: [],
    });
  });

  it("is read in its old version, which has no features", () => {
    const image = qcow2Image({ version: 2, incompatible: 2n, backingFile: "base", backingFormat: "qcow2" });
    expect(readQcow2Header(image)).toMatchObject({
      version: 2,
      hasExternalDataFile: false,
      isCorrupt: false,
      backingFile: "base",
    });
  });

  it.each([
    [1n, "isDirty"],
    [2n, "isCorrupt"],
    [4n, "hasExternalDataFile"],
  ] as const)("tells incompatible feature word %s as %s", (incompatible, flag) => {
    expect(readQcow2Header(qcow2Image({ incompatible }))[flag]).toBe(true);
  });

  it("tells features that nobody knows, compression and extended L2 being known", () => {
    expect(readQcow2Header(qcow2Image({ incompatible: 0x18n })).unknownFeatures).toEqual([]);
    expect(readQcow2Header(qcow2Image({ incompatible: 1n << 63n })).unknownFeatures).toEqual([63]);
  });

  it("tells encryption of the old and of the new kind", () => {
    expect(readQcow2Header(qcow2Image({ cryptMethod: 1 })).isEncrypted).toBe(true);
    expect(readQcow2Header(qcow2Image({ extensions: [[0x0537be77, Buffer.alloc(16)]] })).isEncrypted).toBe(
      true,
    );
  });

  it.each([
    ["another magic", Buffer.from("QFI\xfa", "latin1"), 0, "lies about its format"],
    ["version 1", u32(1), 4, "version 1"],
    ["version 4", u32(4), 4, "version 4"],
    ["clusters of 256 bytes", u32(8), 20, "clusters"],
    ["clusters of 4 MiB", u32(22), 20, "clusters"],
    ["a size beyond all bounds", u64(2n ** 60n), 24, "a size"],
    ["an L1 table of 2 GiB", u32(0x1000_0000), 36, "L1"],
    ["a refcount table of 4 GiB", u32(0x1_0000), 56, "refcount table"],
    ["a million snapshots", u32(1_000_000), 60, "snapshots"],
    ["refcounts of 2^40 bits", u32(40), 96, "refcount order"],
    ["a header shorter than it can be", u32(72), 100, "a header of"],
    ["a header of odd length", u32(105), 100, "a header of"],
    ["a header beyond the file", u32(0xffff_fff8), 100, "a header of"],
    ["a backing name in the header", u64(16n), 8, "out of bounds"],
    ["a backing name beyond the cluster", u64(1n << 40n), 8, "out of bounds"],
    ["a backing name of 4 KiB", u32(4096), 16, "out of bounds"],
    ["an extension without end", u32(0xffff_ffff), 108, "extension"],
  ])("with %s is refused", (_what, bytes, at, why) => {
    const image = qcow2Image({ backingFile: "/images/base", backingFormat: "raw" });
    bytes.copy(image, at);
    expect(refusal(image)).toContain(why);
  });

  it.each(["a\0b", "\xff\xfe"])("with a backing name that is not text (%j) is refused", name => {
    expect(refusal(qcow2Image({ backingFile: Buffer.from(name, "latin1") }))).toContain("not text");
  });

  it("is read or refused, never crashed on, whatever the bytes", () => {
    const image = qcow2Image({ backingFile: "/images/base", backingFormat: "raw", bitmaps: 1 });
    const cut = fc.nat(image.length);
    const edits = fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { maxLength: 8 });
    fc.assert(
      fc.property(cut, edits, (length, list) => {
        const damaged = Buffer.from(image.subarray(0, length));
        for (const [at, value] of list) if (at < damaged.length) damaged[at] = value;
        expect(refusal(damaged)).toEqual(expect.any(String));
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), bytes => {
        expect(refusal(Buffer.concat([image.subarray(0, 8), bytes]))).toEqual(expect.any(String));
      }),
    );
  });

  it("is recognised by its magic alone", () => {
    expect(looksLikeQcow2(qcow2Image({}))).toBe(true);
    expect(looksLikeQcow2(Buffer.alloc(512))).toBe(false);
    expect(looksLikeQcow2(Buffer.alloc(0))).toBe(false);
  });
});

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
