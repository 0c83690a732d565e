/** `Files` by Node alone, as far as pure tests need it; what only the addon can do rejects. */

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { link, lstat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { nativeEngine } from "../../../agent/os/engine.js";
import type { Files } from "../../../agent/os/files.js";

const unsupported = async (): Promise<never> => {
  throw Object.assign(new Error("not in a pure test"), { code: "EOPNOTSUPP" });
};

export const plainFiles: Files = {
  extents: async (_fd, offset, length) => (length > 0 ? [{ start: offset, end: offset + length }] : []),
  punchHole: unsupported,
  zeroRange: unsupported,
  allocate: unsupported,
  clone: unsupported,
  copyRange: async (sourceFd, sourceOffset, targetFd, targetOffset, length) => {
    const buffer = Buffer.alloc(length);
    const bytes = readSync(sourceFd, buffer, 0, length, sourceOffset);
    return writeSync(targetFd, buffer, 0, bytes, targetOffset);
  },
  dropCache: async () => {},
  facts: async fd => {
    const stats = fstatSync(fd, { bigint: true });
    return {
      device: `${stats.dev}`,
      inode: `${stats.ino}`,
      birthNs: `${stats.birthtimeNs}`,
      sizeBytes: Number(stats.size),
      allocatedBytes: Number(stats.blocks) * 512,
      mtimeNs: `${stats.mtimeNs}`,
      ctimeNs: `${stats.ctimeNs}`,
    };
  },
  fileSystem: async fd => {
    const facts = statfsSync(`/proc/self/fd/${fd}`);
    return {
      magic: facts.type,
      freeBytes: facts.bavail * facts.bsize,
      totalBytes: facts.blocks * facts.bsize,
    };
  },
  directAlignment: async () => ({ memory: 0, offset: 0 }),
  newDigestTree: (sizeBytes, algorithm = "sha256") => new (nativeEngine().DigestTree)(algorithm, sizeBytes),
  takeWriteLease: unsupported,
  holdsWriteLease: unsupported,
  takeQemuLock: unsupported,
  lockExclusive: unsupported,
  renameNoReplace: async (oldPath, newPath) => {
    await link(oldPath, newPath);
    await unlink(oldPath);
    for (const directory of [dirname(oldPath), dirname(newPath)]) {
      const fd = openSync(directory, constants.O_RDONLY);
      fsyncSync(fd);
      closeSync(fd);
    }
  },
  openBeneath: async (directoryFd, relativePath, flags, mode) => {
    let path = `/proc/self/fd/${directoryFd}/`;
    for (const part of relativePath.split("/")) {
      path = join(path, part);
      const found = await lstat(path).catch(() => undefined);
      if (part === ".." || found?.isSymbolicLink()) {
        throw Object.assign(new Error("a symbolic link"), { code: "ELOOP" });
      }
    }
    return openSync(path, flags | constants.O_NOFOLLOW, mode);
  },
  notify: unsupported,
};
