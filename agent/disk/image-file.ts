/**
 * Opens images where they are allowed to be (SAFETY R19): beneath a configured directory, through no symbolic link,
 * and only if they are a regular file or a block device that was listed. Never for writing.
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
  /** Block devices that may be used as disks, by absolute path. */
  readonly blockDevices: readonly string[];
}

export interface ImageFile extends AsyncDisposable {
  readonly path: string;
  readonly fd: number;
  readonly facts: FileFacts;
  readonly isBlockDevice: boolean;
  /** Size of the file, or of the block device. */
  readonly sizeBytes: number;
  /** Up to `length` bytes at `offset`; fewer only at the end of the file. */
  read(offset: number, length: number): Promise<Buffer>;
}

/** Fault("refused") for a path out of bounds, Fault("not-found") for none there. */
export async function openImageFile(files: Files, places: ImagePlaces, path: string): Promise<ImageFile> {
  const fd = await openAllowed(files, places, path);
  try {
    const stats = await statFile(fd);
    const isBlockDevice = stats.isBlockDevice();
    refuseSpecialFile(stats, places, path);
    const facts = await files.facts(fd);
    return {
      path,
      fd,
      facts,
      isBlockDevice,
      sizeBytes: isBlockDevice ? await sizeOfBlockDevice(fd) : facts.sizeBytes,
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
  if (places.blockDevices.includes(path)) {
    return attempt(path, () => openFile(path, flags | constants.O_NOFOLLOW));
  }
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

function refuseSpecialFile(stats: Stats, places: ImagePlaces, path: string): void {
  if (stats.isFile() || (stats.isBlockDevice() && places.blockDevices.includes(path))) return;
  throw new Fault("refused", `${path} is neither a regular file nor a listed block device`, {
    have: stats.isBlockDevice() ? "a block device that is not listed" : "a special file",
    need: "a regular file",
    fix: "use a file, or list the block device",
  });
}

const outside = (path: string, { directories }: ImagePlaces): Fault =>
  new Fault("refused", `${path} is outside the image directories`, {
    have: path,
    need: `a path beneath ${directories.join(", ")}`,
    fix: "move the image there, or add its directory to the pools",
  });

/** Seeking is not in Node's API: the size is the last offset at which a byte can be read. */
async function sizeOfBlockDevice(fd: number): Promise<number> {
  let [readable, beyond] = [0, 2 ** 50];
  while (readable < beyond) {
    const middle = Math.floor((readable + beyond) / 2 / 512) * 512;
    const isReadable = (await readFully(fd, middle, 512)).length > 0;
    if (isReadable) readable = middle + 512;
    else beyond = middle;
  }
  return readable;
}

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
