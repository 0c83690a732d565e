/**
 * Opens images where they are allowed to be (SAFETY R19): beneath a configured directory, through no symbolic link,
 * and only if they are a regular file. Never for writing. Block devices are no images: see block-devices.ts.
 */

import { close, constants, fstat, open, read, type Stats } from "node:fs";
import { isAbsolute, normalize, relative } from "node:path";
import { promisify } from "node:util";
import { Fault } from "../../proto/fault.js";
import type { FileFacts, Files } from "../os/files.js";

const [openFile, closeFile, statFile, readFile] = [
  promisify(open),
  promisify(close),
  promisify(fstat),
  promisify(read),
];

export interface ImagePlaces {
  /** Absolute directories beneath which images may be. */
  readonly directories: readonly string[];
}

export interface ImageFile extends AsyncDisposable {
  readonly path: string;
  readonly fd: number;
  readonly facts: FileFacts;
  readonly sizeBytes: number;
  /** Up to `length` bytes at `offset`; fewer only at the end of the file. */
  read(offset: number, length: number): Promise<Buffer>;
}

/** Fault("refused") for a path out of bounds, Fault("not-found") for none there. */
export async function openImageFile(files: Files, places: ImagePlaces, path: string): Promise<ImageFile> {
  const fd = await openAllowed(files, places, path);
  try {
    refuseSpecialFile(await statFile(fd), path);
    const facts = await files.facts(fd);
    return {
      path,
      fd,
      facts,
      sizeBytes: facts.sizeBytes,
      read: (offset, length) => readFully(fd, offset, length),
      [Symbol.asyncDispose]: () => closeFile(fd),
    };
  } catch (error) {
    await closeFile(fd);
    throw error;
  }
}

async function openAllowed(files: Files, places: ImagePlaces, path: string): Promise<number> {
  if (!isAbsolute(path) || normalize(path) !== path || path.includes("\0")) {
    throw outside(path, places);
  }
  // Non-blocking, so that a FIFO in an image's place cannot hold the agent up.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  const directory = places.directories.find(candidate => isBeneath(path, candidate));
  if (directory === undefined) throw outside(path, places);
  const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY;
  const directoryFd = await attempt(directory, () => openFile(directory, directoryFlags));
  try {
    return await attempt(path, () => files.openBeneath(directoryFd, relative(directory, path), flags, 0));
  } finally {
    await closeFile(directoryFd);
  }
}

const isBeneath = (path: string, directory: string): boolean => {
  const below = relative(directory, path);
  return below !== "" && !below.startsWith("..") && !isAbsolute(below);
};

async function attempt(path: string, openIt: () => Promise<number>): Promise<number> {
  try {
    return await openIt();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") throw new Fault("not-found", `open ${path}: no such file`, {}, { cause: error });
    if (code === "ELOOP" || code === "EXDEV" || code === "ENOTDIR") {
      const detail = { have: "a symbolic link in the path", need: "a plain path", fix: "name the real path" };
      throw new Fault("refused", `open ${path}: it leads through a symbolic link`, detail, { cause: error });
    }
    const message = error instanceof Error ? error.message : String(error);
    throw new Fault("failed", `open ${path}: ${message}`, {}, { cause: error });
  }
}

function refuseSpecialFile(stats: Stats, path: string): void {
  if (stats.isFile()) return;
  throw new Fault("refused", `${path} is no regular file`, {
    have: stats.isBlockDevice() ? "a block device" : "a special file",
    need: "a regular file",
    fix: stats.isBlockDevice() ? "declare the disk as type='block', raw, without layers" : "use a file",
  });
}

const outside = (path: string, { directories }: ImagePlaces): Fault =>
  new Fault("refused", `${path} is outside the image directories`, {
    have: path,
    need: `a path beneath ${directories.join(", ")}`,
    fix: "move the image there, or add its directory to the pools",
  });

async function readFully(fd: number, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await readFile(fd, buffer, done, length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}
