/**
 * Small files that are there whole or not at all, also after a power cut: written beside their place, flushed,
 * renamed, and the directory flushed too.
 *
 * `scratch` may name another directory of the same file system for the half-written file, where a reader of the
 * real directory must never see it.
 */

import { randomUUID } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

export interface DurableFileOptions {
  readonly mode: number;
  readonly scratch?: string;
}

export async function writeDurably(path: string, text: string, options: DurableFileOptions): Promise<void> {
  const directory = dirname(path);
  const partial = join(options.scratch ?? directory, `.${basename(path)}.${randomUUID()}`);
  await makeDirectoryDurably(directory, 0o755);
  try {
    await writeAndFlush(partial, text, options.mode);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  await flushDirectory(directory);
}

/** Also one that is there already: whoever made it may have been killed before its name was flushed. */
async function makeDirectoryDurably(path: string, mode: number): Promise<void> {
  const firstMade = await mkdir(path, { recursive: true, mode });
  for (let made = path; ; made = dirname(made)) {
    await flushDirectory(dirname(made));
    if (firstMade === undefined || made === firstMade) return;
  }
}

/** A name that is gone stays gone after a power cut. */
export async function removeDurably(path: string): Promise<void> {
  await rm(path, { force: true });
  await flushDirectory(dirname(path));
}

/** After something was found gone: whoever removed it may have been killed before this, and with its folder it may be gone too. */
export async function flushIfThere(path: string): Promise<void> {
  await flushDirectory(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}

export async function flushDirectory(path: string): Promise<void> {
  await using directory = await open(path, "r");
  await directory.sync();
}

async function writeAndFlush(path: string, text: string, mode: number): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.writeFile(text);
  // Not the mode of `open`, which the umask narrows.
  await file.chmod(mode);
  await file.sync();
}
