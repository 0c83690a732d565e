/**
 * Files moved aside and back under their identity, not their name (SAFETY R5, R9).
 *
 *     vda.qcow2  ──aside──▶  vda.qcow2.fenced-<migration>      and back, never over anything that is there
 *
 * Each call looks where the file is now and does what is missing, so that it can be repeated after a crash at any
 * instant. A file that is in neither place, or another file in its place, is a fault. Looking never opens the
 * contents (O_PATH), because that would break a lease.
 */

import { constants } from "node:fs";
import { open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault } from "../../proto/fault.js";
import { isSameFile } from "../disk/file-identity.js";
import type { FileFacts, FileIdentity, Files } from "../os/files.js";
import { flushDirectory, flushIfThere } from "./durable-file.js";

export interface AsideFile {
  readonly id: string;
  readonly path: string;
  readonly asidePath: string;
  readonly identity: FileIdentity;
}

type Identifying = Pick<Files, "facts">;
type Renaming = Pick<Files, "facts" | "renameNoReplace">;

/** Undefined: there is nothing of that name. A symbolic link is not what it points to. */
export async function factsAt(files: Identifying, path: string): Promise<FileFacts | undefined> {
  try {
    await using handle = await open(path, O_PATH | constants.O_NOFOLLOW);
    return await files.facts(handle.fd);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Where the file lies now. */
export async function locate(files: Identifying, file: AsideFile): Promise<string> {
  for (const path of [file.asidePath, file.path]) {
    const facts = await factsAt(files, path);
    if (facts && isSameFile(facts, file.identity)) return path;
  }
  throw new Fault("corrupt", `${file.id} is neither at ${file.path} nor at ${file.asidePath}`, {
    need: describe(file.identity),
    fix: "find the file by its inode and move it back; it may have been renamed or replaced by hand",
  });
}

export const moveAside = (files: Renaming, file: AsideFile): Promise<void> =>
  move(files, file, file.asidePath);

export const moveBack = (files: Renaming, file: AsideFile): Promise<void> => move(files, file, file.path);

/** False: it was gone already. Another file under its name is a fault and stays. */
export async function removeAside(files: Identifying, file: AsideFile): Promise<boolean> {
  const found = await factsAt(files, file.asidePath);
  if (found === undefined) {
    await flushIfThere(dirname(file.asidePath));
    return false;
  }
  if (!isSameFile(found, file.identity)) {
    throw new Fault("refused", `${file.asidePath} is not the file that was set aside; it was left alone`, {
      have: describe(found),
      need: describe(file.identity),
    });
  }
  await rm(file.asidePath, { recursive: true });
  await flushDirectory(dirname(file.asidePath));
  return true;
}

async function move(files: Renaming, file: AsideFile, destination: string): Promise<void> {
  const current = await locate(files, file);
  // Moved in an earlier life perhaps, and killed before the directory was flushed.
  if (current === destination) return flushDirectory(dirname(destination));
  try {
    await files.renameNoReplace(current, destination);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    throw new Fault("conflict", `move ${file.id} to ${destination}: another file is there`, {
      fix: "move it away; Ferry does not overwrite files",
    });
  }
}

export const identityOf = ({ device, inode, birthNs }: FileIdentity): FileIdentity => ({
  device,
  inode,
  birthNs,
});

const describe = ({ device, inode, birthNs }: FileIdentity): string =>
  `inode ${inode} on device ${device}, born ${birthNs}`;

/** Linux's O_PATH, which Node's constants lack. */
const O_PATH = 0o10000000;
