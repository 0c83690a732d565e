/**
 * A file that a target expects, and the names it goes by until it is whole.
 *
 *   <target>.part-<migration>           the bytes, created by this migration and nobody else
 *   <target>.part-<migration>.journal   what of them is verified; stays until the receipt is safe
 */

import { constants } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { FileIdentity, Files } from "../os/files.js";
import { openBelow, syncDirectoryOf, withFd } from "./fd-io.js";
import { errnoOf, fileFault } from "./file-fault.js";
import { PartJournal } from "./part-journal.js";

export interface IncomingFile {
  /** Stable name within the migration: "vda/0", "nvram", "tpm/tpm2-00.permall". */
  readonly id: string;
  readonly targetPath: string;
  readonly sizeBytes: number;
  /** Permission bits of the finished file. */
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Trusted directory below which no link is followed; the file's own directory when left out. */
  readonly root?: string;
}

type Named = Pick<IncomingFile, "targetPath" | "root">;

export const partPathOf = (file: Named, migrationId: string): string =>
  `${file.targetPath}.part-${migrationId}`;

export const journalPathOf = (file: Named, migrationId: string): string =>
  `${partPathOf(file, migrationId)}.journal`;

export const rootOf = (file: Named): string => file.root ?? dirname(file.targetPath);

/**
 * Removes the journals of a finished transfer. Call it once the copy receipt is durable: until then the journal is
 * what lets a repeated transfer recognise its own finished files.
 */
export async function forgetTransfer(incoming: readonly IncomingFile[], migrationId: string): Promise<void> {
  for (const file of incoming) await removeIfPresent(journalPathOf(file, migrationId));
}

/** The file that a transfer made, under whichever of its names, as long as its journal is there. */
export async function transferredIdentity(
  files: Files,
  file: Named,
  migrationId: string,
): Promise<FileIdentity | undefined> {
  const path = journalPathOf(file, migrationId);
  try {
    const fd = await openBelow(files, path, rootOf(file), constants.O_RDWR | constants.O_NOFOLLOW);
    return (await withFd(fd, () => new PartJournal(fd).readHeader()))?.part;
  } catch (thrown) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(thrown))) return undefined;
    throw fileFault(thrown, `look at ${path}`);
  }
}

/** Also flushed when it is gone: whoever removed it may have been killed before that. */
async function removeIfPresent(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
    await syncDirectoryOf(path);
  } catch (thrown) {
    if (errnoOf(thrown) !== "ENOENT") throw fileFault(thrown, `remove ${path}`);
  }
}
