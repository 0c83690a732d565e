/**
 * Whole reads and writes on raw descriptors, as the file primitives of the host speak them.
 *
 * Node's `read` and `write` may do less than asked; these do all of it or reject with the system's error.
 */

import { close, constants, fdatasync, fstat, fsync, open, read, type Stats, write } from "node:fs";
import { dirname, isAbsolute, relative } from "node:path";
import { promisify } from "node:util";
import type { Files } from "../os/files.js";

export const syncData = promisify(fdatasync);
export const syncAll = promisify(fsync);
export const closeFd = promisify(close);
const statFd: (fd: number) => Promise<Stats> = promisify(fstat);
export const openFd: (path: string, flags: number, mode?: number) => Promise<number> = promisify(open);
const readOnce = promisify(read);
const writeOnce = promisify(write);

export async function writeAll(fd: number, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await writeOnce(fd, bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Fills `into` from `position`; the number of bytes read is less only at the end of the file. */
export async function readFull(fd: number, into: Buffer, position: number): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const { bytesRead } = await readOnce(fd, into, done, into.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

export async function withFd<T>(fd: number, use: (fd: number) => Promise<T>): Promise<T> {
  try {
    return await use(fd);
  } finally {
    await closeFd(fd);
  }
}

/** Opens the file or block device `path` without following a link anywhere below `root`, which is trusted. */
export async function openBelow(
  files: Files,
  path: string,
  root: string,
  flags: number,
  mode = 0,
): Promise<number> {
  const inside = relative(root, path);
  if (inside === "" || inside.startsWith("..") || isAbsolute(inside)) {
    throw Object.assign(new Error(`${path} is not below ${root}`), { code: "EXDEV" });
  }
  const rootFd = await openFd(root, constants.O_RDONLY | constants.O_DIRECTORY);
  // Non-blocking, so that a pipe in a disk's place cannot hold the agent up.
  const fd = await withFd(rootFd, below =>
    files.openBeneath(below, inside, flags | constants.O_NONBLOCK, mode),
  );
  const stats = await statFd(fd);
  if (stats.isFile() || stats.isBlockDevice()) return fd;
  await closeFd(fd);
  throw Object.assign(new Error(`${path} is neither a file nor a block device`), { code: "EXDEV" });
}

/** Makes the names in a directory durable. */
export async function syncDirectoryOf(path: string): Promise<void> {
  await withFd(await openFd(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY), fd => syncAll(fd));
}
