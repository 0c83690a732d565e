import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createSwapDisk,
  hibernationSignature,
  judgeSwap,
  readSwapHeader,
  SWAP_PROBE_BYTES,
  type SwapSpace,
  swapHeader,
  swapSpaceOf,
} from "../../../agent/disk/swap.js";
import { temporaryDirectory } from "./temporary-directory.js";

const SIZE_BYTES = 4 * 1024 * 1024;
const UUID = "b2b5a3a0-5b1c-4d4e-9b8e-0123456789ab";
const swap = swapSpaceOf(SIZE_BYTES, UUID, "swap0");

const swapDisk = (change: (disk: Buffer) => void = () => {}): Buffer => {
  const disk = Buffer.alloc(SIZE_BYTES);
  swapHeader(swap).copy(disk);
  change(disk);
  return disk;
};

const judge = (disk: Buffer) =>
  judgeSwap(disk.subarray(0, SWAP_PROBE_BYTES), disk.subarray(-SWAP_PROBE_BYTES), disk.length);

describe("a swap header", () => {
  it("is read as it was written, in both byte orders", () => {
    const spaces: fc.Arbitrary<SwapSpace> = fc.record({
      lastPage: fc.integer({ min: 10, max: 0xffff_ffff }),
      uuid: fc.uuid(),
      label: fc.stringMatching(/^[ -~]{0,16}$/),
      byteOrder: fc.constantFrom("little", "big"),
    });
    fc.assert(
      fc.property(spaces, space => {
        expect(readSwapHeader(swapHeader(space))).toEqual(space);
      }),
    );
  });

  it("is never made of what does not fit one", () => {
    for (const wrong of [
      { ...swap, label: "seventeen letters" },
      { ...swap, uuid: "none" },
      { ...swap, lastPage: 3 },
    ]) {
      expect(() => swapHeader(wrong)).toThrow("not a swap space");
    }
  });

  it("is read or not, never crashed on, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), bytes => {
        expect(() => judgeSwap(Buffer.from(bytes), Buffer.from(bytes), bytes.length)).not.toThrow();
      }),
    );
  });
});

describe("a disk declared swap", () => {
  it("is dropped while it is clean swap, whatever was swapped out to it", () => {
    expect(judge(swapDisk())).toEqual({ drop: true, swap });
    const used = swapDisk(disk => disk.fill(0x5a, 8192, SIZE_BYTES - 1024 * 1024));
    expect(judge(used)).toEqual({ drop: true, swap });
  });

  it.each<[string, (disk: Buffer) => void, string]>([
    ["a hibernated guest", disk => disk.write("S1SUSPEND\0", 4086), "hibernated"],
    ["a hibernated guest with 64 KiB pages", disk => disk.write("S1SUSPEND\0", 65_526), "hibernated"],
    ["no signature", disk => disk.fill(0, 4086, 4096), "no clean SWAPSPACE2"],
    ["swap of version 0", disk => disk.fill(0, 1024, 1028), "no clean SWAPSPACE2"],
    ["bad pages", disk => disk.writeUInt32LE(1, 1032), "no clean SWAPSPACE2"],
    ["more pages than the disk", disk => disk.writeUInt32LE(1024, 1028), "size does not fit"],
    ["a partition table", disk => disk.writeUInt16LE(0xaa55, 510), "more than a swap header"],
    ["an xfs that was made over it", disk => disk.write("XFSB", 0), "more than a swap header"],
    ["an ext superblock", disk => disk.writeUInt16LE(0xef53, 1080), "more than a swap header"],
    ["a label of more than text", disk => disk.fill(0xff, 1052, 1068), "more than a swap header"],
    ["a btrfs", disk => disk.write("_BHRfS_M", 65_600), "btrfs"],
    ["an iso9660", disk => disk.write("CD001", 32_769), "iso9660"],
    ["an md member", disk => disk.writeUInt32LE(0xa92b4efc, 4096), "md member"],
    [
      "an md member with its mark at the end",
      disk => disk.writeUInt32LE(0xa92b4efc, SIZE_BYTES - 8192),
      "md",
    ],
    ["the copy of a partition table", disk => disk.write("EFI PART", SIZE_BYTES - 512), "partition table"],
  ])("with %s is copied", (_what, change, reason) => {
    expect(judge(swapDisk(change))).toMatchObject({ drop: false, reason: expect.stringContaining(reason) });
  });

  it("names the kind of hibernation", () => {
    const head = swapDisk(disk => disk.write("ULSUSPEND", 4086));
    expect(hibernationSignature(head)).toBe("ULSUSPEND");
    expect(hibernationSignature(swapDisk())).toBeUndefined();
  });
});

describe("making swap", () => {
  it("gives a sparse file with size, label and uuid, for its owner only", async () => {
    const path = join(await temporaryDirectory(), "swap");
    await createSwapDisk(path, SIZE_BYTES, swap);
    const { size, blocks, mode } = await stat(path);
    expect(size).toBe(SIZE_BYTES);
    expect(blocks * 512).toBeLessThan(64 * 1024);
    expect(mode & 0o777).toBe(0o600);
    expect(judge(await readFile(path))).toEqual({ drop: true, swap });
  });

  it("never writes over a file, and never makes a space larger than its disk", async () => {
    const path = join(await temporaryDirectory(), "swap");
    await writeFile(path, "precious");
    await expect(createSwapDisk(path, SIZE_BYTES, swap)).rejects.toMatchObject({ code: "already-exists" });
    expect(await readFile(path, "utf8")).toBe("precious");
    await expect(createSwapDisk(`${path}2`, 65_536, swap)).rejects.toMatchObject({
      code: "invalid-argument",
    });
  });
});
