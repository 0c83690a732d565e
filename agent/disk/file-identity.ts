/**
 * Files by what they are, not by what they are called (SAFETY R5, DESIGN invariant 7).
 *
 * An identity is inode and birth time, and the device where that does not change by itself. Renaming and removing refuse, with nothing changed, when the name is
 * that of another file; both may be repeated after a crash and then find their work done.
 */

import { constants } from "node:fs";
import { open, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../proto/fault.js";
import { flushIfThere } from "../fence/durable-file.js";
import type { FileFacts, FileIdentity, Files } from "../os/files.js";

/** What is at a path now; undefined when nothing is. A symbolic link is Fault("conflict"), never followed. */
export async function factsAt(files: Files, path: string): Promise<FileFacts | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    const file = await open(path, flags);
    try {
      return await files.facts(file.fd);
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return undefined;
    if (code === "ELOOP") throw new Fault("conflict", `${path} is a symbolic link`, {}, { cause: error });
    throw error;
  }
}

/**
 * A device's number is given anew at each boot, or at each mount: two files of one inode born in the same nanosecond are one
 * file under whatever number. Where no birth is recorded, the number is needed.
 */
export const isSameFile = (one: FileIdentity, other: FileIdentity): boolean =>
  one.inode === other.inode &&
  one.birthNs === other.birthNs &&
  (one.birthNs !== UNBORN || one.device === other.device);

/** A file system that records no birth time. */
export const UNBORN = "0";

/**
 * Renames a file if it is the one meant; the new name must be free. `already` when it stands there from an earlier
 * attempt. Fault("conflict") when another file has the old name or the new one, Fault("not-found") for neither.
 */
export async function renameByIdentity(
  files: Files,
  identity: FileIdentity,
  oldPath: string,
  newPath: string,
): Promise<"renamed" | "already"> {
  const [before, there] = [await factsAt(files, oldPath), await factsAt(files, newPath)];
  if (there && isSameFile(there, identity) && !before) return "already";
  if (!before) throw new Fault("not-found", `rename ${oldPath}: no such file`);
  if (!isSameFile(before, identity)) throw otherFile(`rename ${oldPath}`, before, identity);
  if (there) throw otherFile(`rename ${oldPath} to ${newPath}`, there, identity);
  await files.renameNoReplace(oldPath, newPath);
  const after = await factsAt(files, newPath);
  if (after && isSameFile(after, identity)) return "renamed";
  // Somebody swapped the files between the look and the rename: put theirs back.
  if (after) await files.renameNoReplace(newPath, oldPath);
  throw otherFile(`rename ${oldPath}`, after, identity);
}

/**
 * Removes a file (or an empty directory) if it is the one meant; `absent` when it is gone. It is renamed first and
 * looked at once more, so that a file put in its place meanwhile is not removed. Durable when it returns.
 */
export async function removeByIdentity(
  files: Files,
  directoryPath: string,
  identity: FileIdentity,
  name: string,
): Promise<"removed" | "absent"> {
  refusePathInName(name);
  const path = join(directoryPath, name);
  const doomedPath = join(directoryPath, `.${name}.removing-${identity.inode}`);
  const [there, doomed] = [await factsAt(files, path), await factsAt(files, doomedPath)];
  const isDoomed = doomed !== undefined && isSameFile(doomed, identity);
  if (there && !isDoomed) await renameByIdentity(files, identity, path, doomedPath);
  if (there || isDoomed) await removeNow(doomedPath);
  await flushIfThere(directoryPath);
  return there || isDoomed ? "removed" : "absent";
}

const removeNow = (path: string): Promise<void> =>
  unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EISDIR" || error.code === "EPERM") return rmdir(path);
    throw error;
  });

function refusePathInName(name: string): void {
  if (name !== "" && name !== "." && name !== ".." && !name.includes("/")) return;
  throw new Fault("invalid-argument", `remove ${name}: not a file name`);
}

const describe = (identity: FileIdentity | undefined): string =>
  identity ? `device ${identity.device} inode ${identity.inode} born ${identity.birthNs}` : "nothing";

const otherFile = (attempt: string, have: FileIdentity | undefined, need: FileIdentity): Fault =>
  new Fault("conflict", `${attempt}: another file is there`, {
    have: describe(have),
    need: describe(need),
    fix: "find out who replaced the file; Ferry touches only what it made or fenced",
  });
