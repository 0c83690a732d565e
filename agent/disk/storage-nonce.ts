/**
 * A file by which two hosts find out whether a folder is the same one on both (SAFETY R1): written by one with random content,
 * looked for by the other.
 *
 * Not to see it proves something only where neither file system can be had by two hosts at all. Everything else, a file
 * system of which nobody has heard included, might show it later: then it is not known.
 */

import { randomBytes } from "node:crypto";
import { constants, fchmod } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { Fault } from "../../proto/fault.js";
import type { Files } from "../os/files.js";
import { openBelow, readFull, syncAll, syncDirectoryOf, withFd, writeAll } from "../transfer/fd-io.js";
import { errnoOf, fileFault } from "../transfer/file-fault.js";

const setMode = promisify(fchmod);

const NONCE_BYTES = 32;
/** Root of another host may be nobody here. */
const NONCE_MODE = 0o644;

/** Names that hold a migration's id are nobody else's. */
export const nonceName = (migrationId: string, side: "source" | "target"): string =>
  `.ferry-nonce-${migrationId}-${side}`;

/** A folder beneath an image folder, which alone is trusted. */
export interface NoncePlace {
  readonly path: string;
  readonly root: string;
}

/** In place of one that an earlier attempt wrote. Empty where nothing can be written. */
export async function writeNonce(files: Files, { path, root }: NoncePlace): Promise<Buffer> {
  const nonce = randomBytes(NONCE_BYTES);
  try {
    await rm(path, { force: true });
    const { O_WRONLY, O_CREAT, O_EXCL } = constants;
    await withFd(await openBelow(files, path, root, O_WRONLY | O_CREAT | O_EXCL, NONCE_MODE), async fd => {
      await setMode(fd, NONCE_MODE);
      await writeAll(fd, nonce, 0);
      await syncAll(fd);
    });
    await syncDirectoryOf(path);
    return nonce;
  } catch (error) {
    if (CANNOT_WRITE.has(errnoOf(error))) return Buffer.alloc(0);
    throw fileFault(error, `write ${path}`);
  }
}

const CANNOT_WRITE = new Set(["EROFS", "EACCES", "EPERM", "ENOENT", "ENOTDIR"]);

/** `seen` is that very content, `absent` no such file; anything else is neither and refuses. */
export async function lookForNonce(
  files: Files,
  { path, root }: NoncePlace,
  nonce: Uint8Array,
): Promise<"seen" | "absent"> {
  const { O_RDONLY, O_NONBLOCK } = constants;
  try {
    // A client of a network file system may remember the folder as it was; reading it asks the server.
    await readdir(dirname(path));
    const found = Buffer.alloc(NONCE_BYTES + 1);
    const bytes = await withFd(await openBelow(files, path, root, O_RDONLY | O_NONBLOCK), fd =>
      readFull(fd, found, 0),
    );
    if (found.subarray(0, bytes).equals(nonce)) return "seen";
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error))) return "absent";
    throw fileFault(error, `look for ${path}`);
  }
  throw new Fault("refused", `${path} does not hold what the other host has written`, {
    fix: "find out what the folder is on both hosts, then migrate again",
  });
}

/** For good: what is known of it is forgotten afterwards. */
export async function removeNonce(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncDirectoryOf(path).catch(error => {
    if (!CANNOT_WRITE.has(errnoOf(error))) throw fileFault(error, `remove ${path}`);
  });
}

/** File systems that only one host has at a time, by the kernel's names. */
const LOCAL = new Set(
  "ext2 ext3 ext4 xfs btrfs zfs f2fs jfs reiserfs bcachefs tmpfs ramfs overlay vfat exfat iso9660 squashfs".split(
    " ",
  ),
);

export const isSurelyLocal = (fileSystem: string): boolean => LOCAL.has(fileSystem);
