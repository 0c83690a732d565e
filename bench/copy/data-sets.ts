/**
 * The files that are copied: made anew for each benchmark, the same on every machine (but `fs`, which holds this one's files).
 *
 * A set says how its source is made, what is at the target before each copy, and over which network it goes.
 */

import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { makeFileSystemImage } from "./file-system-image.js";
import { loopback, type Network, shapedLink } from "./network.js";
import { Pattern } from "./pattern.js";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

export interface DataSet {
  readonly name: string;
  readonly summary: string;
  readonly defaultSizeBytes: number;
  readonly make: (path: string, sizeBytes: number) => Promise<void>;
  /** Puts at the target what a copy finds there. */
  readonly prepareTarget?: (source: string, target: string) => Promise<void>;
  readonly network: () => Network;
}

async function withFile(
  path: string,
  flags: string,
  work: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    await work(file);
  } finally {
    await file.close();
  }
}

async function writePattern(
  file: FileHandle,
  pattern: Pattern,
  offset: number,
  length: number,
): Promise<void> {
  for (let done = 0; done < length; ) {
    const piece = pattern.bytes(Math.min(MIB, length - done));
    await file.write(piece, 0, piece.length, offset + done);
    done += piece.length;
  }
}

const makeRandom = (path: string, sizeBytes: number) =>
  withFile(path, "wx", file => writePattern(file, new Pattern("random"), 0, sizeBytes));

/** An eighth of it is data, in pieces of 64 KiB to 4 MiB. */
const makeSparse = (path: string, sizeBytes: number) =>
  withFile(path, "wx", async file => {
    await file.truncate(sizeBytes);
    const pattern = new Pattern("sparse");
    const longest = Math.min(4 * MIB, sizeBytes / 8);
    const slots = Math.floor(sizeBytes / longest);
    for (let left = Math.ceil(sizeBytes / 8); left > 0; ) {
      const wanted = Math.min(left, 64 * KIB * (1 + pattern.below(Math.max(1, longest / (64 * KIB)))));
      await writePattern(file, pattern, pattern.below(slots) * longest, wanted);
      left -= wanted;
    }
  });

/** What was copied before: the same file, but for pieces of 64 KiB that make up a hundredth of it. */
async function changeHundredth(source: string, target: string): Promise<void> {
  copyFileSync(source, target);
  await withFile(target, "r+", async file => {
    const { size } = await file.stat();
    const pattern = new Pattern("delta");
    const piece = Math.min(64 * KIB, size);
    const pieces = Math.ceil(size / 100 / piece);
    const apart = Math.floor(size / pieces);
    for (let index = 0; index < pieces; index += 1) {
      const slack = Math.max(1, Math.floor((apart - piece) / (4 * KIB)));
      await writePattern(file, pattern, index * apart + pattern.below(slack) * 4 * KIB, piece);
    }
  });
}

/** In a folder beside it, so that a crowded /tmp does not matter. */
async function makeFs(path: string, sizeBytes: number): Promise<void> {
  const folder = mkdtempSync(`${path}-files-`);
  try {
    await makeFileSystemImage(path, folder, sizeBytes);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const DATA_SETS: readonly DataSet[] = [
  {
    name: "random",
    summary: "random bytes",
    defaultSizeBytes: 4 * GIB,
    make: makeRandom,
    network: () => loopback,
  },
  {
    name: "sparse",
    summary: "an eighth is data, scattered",
    defaultSizeBytes: 8 * GIB,
    make: makeSparse,
    network: () => loopback,
  },
  {
    name: "fs",
    summary: "an ext4 file system with files of this machine",
    defaultSizeBytes: 2 * GIB,
    make: makeFs,
    network: () => loopback,
  },
  {
    name: "delta",
    summary: "random bytes; the target has them but for one per cent",
    defaultSizeBytes: GIB,
    make: makeRandom,
    prepareTarget: changeHundredth,
    network: () => loopback,
  },
  {
    name: "shaped",
    summary: "as fs, over a link of 1 Gbit/s",
    defaultSizeBytes: GIB,
    make: makeFs,
    network: () => shapedLink("1gbit"),
  },
];
