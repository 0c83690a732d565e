/**
 * Stands for `agent/os/native-files.ts`: the file primitives of the addon, on the simulated machine's disk. What is
 * asked of the device past the page cache is answered from the medium.
 */

import { constants } from "node:fs";
import type { Files } from "../../../agent/os/files.js";
import type { OpenFile } from "../world/disk.js";
import { errno } from "../world/errno.js";
import { type Process, step } from "../world/process.js";
import { SimulatedTree } from "./digest-tree.js";
import { fileOf } from "./file-calls.js";

const opened = async (fd: number): Promise<OpenFile> => fileOf(await step(), fd);

const unsupported = async (): Promise<never> => {
  await step();
  throw errno("EOPNOTSUPP", "ioctl");
};

export function nativeFiles(): Files {
  return {
    extents: async (fd, offset, length) => {
      const { data } = (await opened(fd)).inode;
      const end = Math.min(offset + length, data.length);
      return end > offset ? [{ start: offset, end }] : [];
    },
    punchHole: async (fd, offset, length) => zero(await opened(fd), offset, length),
    zeroRange: async (fd, offset, length) => zero(await opened(fd), offset, length),
    allocate: async fd => void (await opened(fd)),
    clone: unsupported,
    copyRange: async (sourceFd, sourceOffset, targetFd, targetOffset, length) => {
      const bytes = (await opened(sourceFd)).read(length, sourceOffset);
      (await opened(targetFd)).write(bytes, targetOffset);
      return bytes.length;
    },
    dropCache: async fd => {
      const { inode } = await opened(fd);
      if (!inode.isFlushed || inode.medium === undefined) return;
      inode.data = inode.medium;
      inode.medium = undefined;
      inode.flush();
    },
    facts: async fd => factsOf(await opened(fd), (await step()).machine.disk.device),
    fileSystem: async fd => {
      await opened(fd);
      const { disk } = (await step()).machine;
      return { magic: disk.magic, freeBytes: disk.freeBytes, totalBytes: disk.capacityBytes };
    },
    directAlignment: async fd => {
      await opened(fd);
      return { memory: 512, offset: 512 };
    },
    newDigestTree: sizeBytes => new SimulatedTree(sizeBytes),
    takeWriteLease: async fd => (await opened(fd)).takeLease(),
    holdsWriteLease: async fd => {
      const file = await opened(fd);
      return file.hasLease && !file.isLeaseBroken;
    },
    takeQemuLock: async fd => (await opened(fd)).takeLock(),
    lockExclusive: async fd => (await opened(fd)).takeLock(),
    renameNoReplace: async (oldPath, newPath) => {
      const { disk } = (await step()).machine;
      disk.rename(oldPath, newPath, false);
      for (const path of [oldPath, newPath]) disk.flushPath(folderOf(path));
    },
    openBeneath: async (directoryFd, relativePath, flags, mode) =>
      openBeneath(await step(), directoryFd, relativePath, flags, mode),
    notify: async () => {},
  };
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";

const factsOf = ({ inode }: OpenFile, device: string) => ({
  device,
  inode: `${inode.ino}`,
  birthNs: `${inode.birthNs}`,
  sizeBytes: inode.sizeBytes,
  allocatedBytes: inode.allocatedBytes,
  mtimeNs: `${inode.mtimeNs}`,
  ctimeNs: `${inode.ctimeNs}`,
});

function zero(file: OpenFile, offset: number, length: number): void {
  const end = Math.min(offset + length, file.inode.data.length);
  if (end > offset) file.write(Buffer.alloc(end - offset), offset);
}

/** RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS: no link on the way, nor at its end. */
function openBeneath(
  process: Process,
  directoryFd: number,
  relativePath: string,
  flags: number,
  mode: number,
): number {
  const { disk } = process.machine;
  const directory = fileOf(process, directoryFd).path;
  const parts = relativePath.split("/");
  if (parts.includes("..")) throw errno("EXDEV", "openat2", relativePath);
  for (let depth = 1; depth < parts.length; depth += 1) {
    const inode = disk.find(`${directory}/${parts.slice(0, depth).join("/")}`, false);
    if (inode?.kind === "symlink") throw errno("ELOOP", "openat2", relativePath);
  }
  return process.describe(disk.open(`${directory}/${relativePath}`, flags | constants.O_NOFOLLOW, mode));
}
