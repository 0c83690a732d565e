/**
 * Copies a file within one host (same-host resize, a root disk from its image): by reflink, else in the kernel, else by
 * the engine, which digests what it reads on the way.
 *
 * Whatever the way: holes stay holes, the copy is made beside its final name, flushed, read back and compared with its source
 * by digest (a reflink shares the very blocks, there is nothing to compare) and only then named, without ever replacing anything.
 * A part left by an interrupted copy of the same migration is thrown away and made anew. A source that is held by a lease is
 * read through the descriptor that holds it, and never opened again.
 */

import { constants, fchmod, ftruncate } from "node:fs";
import { promisify } from "node:util";
import { Fault } from "../../proto/fault.js";
import type { DigestTree, FileFacts, Files } from "../os/files.js";
import { digestFile, digestHeld, type FileDigest } from "./digest-file.js";
import { openBelow, openFd, syncAll, withFd } from "./fd-io.js";
import { errnoOf, fileFault } from "./file-fault.js";
import { type IncomingFile, partPathOf, rootOf } from "./incoming-file.js";

const setSize = promisify(ftruncate);
const setMode = promisify(fchmod);

export type LocalCopyMethod = "reflink" | "copy-range" | "engine";

export interface LocalCopyRequest {
  readonly sourcePath: string;
  /** Where the source is open already; left open. */
  readonly sourceFd?: number | undefined;
  readonly target: IncomingFile;
  readonly migrationId: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneBytes: number) => void;
  /** The copy is whole and about to get its name: what has to be journalled of it is journalled now. */
  readonly onWhole?: (part: FileFacts) => void;
}

export interface LocalCopy {
  readonly method: LocalCopyMethod;
  /** Of the finished copy; undefined for a reflink, which is its source's blocks. */
  readonly digest: FileDigest | undefined;
}

const RANGE_BYTES = 64 * 1024 * 1024;
/** Bounds how long a cancel has to wait. */
const WINDOW_LEAVES = 128;
/** What file systems and kernels answer when they cannot do this between these two files. */
const CANNOT = new Set(["EOPNOTSUPP", "ENOTSUP", "EXDEV", "EINVAL", "ENOTTY", "ENOSYS"]);

export async function copyLocally(files: Files, request: LocalCopyRequest): Promise<LocalCopy> {
  const { sourcePath, target, migrationId, signal } = request;
  const partPath = partPathOf(target, migrationId);
  try {
    const copy = await withSource(request, async source => {
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
      const partFd = await openBelow(files, partPath, rootOf(target), flags, 0o600);
      return await withFd(partFd, async part => {
        const made = await copyOpened(files, request, source, part);
        const digest = made.method === "reflink" ? undefined : await compare(files, request, made, partPath);
        request.onWhole?.(await files.facts(part));
        return { method: made.method, digest };
      });
    });
    await files.renameNoReplace(partPath, target.targetPath);
    return copy;
  } catch (thrown) {
    if (signal?.aborted) throw new Fault("cancelled", `copy of ${target.id} was cancelled`);
    throw fileFault(thrown, `copy ${sourcePath} to ${target.targetPath}`);
  }
}

/** Puts back into a file what a copy has kept of it; it stays the same file, whatever became of its content. */
export async function restoreLocally(
  files: Files,
  {
    copyPath,
    path,
    signal,
  }: { readonly copyPath: string; readonly path: string; readonly signal: AbortSignal },
): Promise<void> {
  try {
    await withFd(await openFd(copyPath, constants.O_RDONLY | constants.O_NOFOLLOW), async source => {
      const { sizeBytes } = await files.facts(source);
      await withFd(await openFd(path, constants.O_RDWR | constants.O_NOFOLLOW), async part => {
        await setSize(part, 0);
        await copyContent(files, { signal }, { source, part, sizeBytes });
        await syncAll(part);
      });
    });
  } catch (thrown) {
    signal.throwIfAborted();
    throw fileFault(thrown, `restore ${path} from ${copyPath}`);
  }
}

const withSource = async <T>(
  { sourcePath, sourceFd }: LocalCopyRequest,
  use: (fd: number) => Promise<T>,
): Promise<T> =>
  sourceFd === undefined
    ? withFd(await openFd(sourcePath, constants.O_RDONLY | constants.O_NOFOLLOW), use)
    : use(sourceFd);

type CopyWatch = Pick<LocalCopyRequest, "signal" | "onProgress">;

async function copyOpened(
  files: Files,
  request: LocalCopyRequest,
  source: number,
  part: number,
): Promise<Copied> {
  if (!(await files.lockExclusive(part)))
    throw new Fault("conflict", "the copy is under way in another process");
  const { sizeBytes } = await files.facts(source);
  await setSize(part, 0);
  const copied = await copyContent(files, request, { source, part, sizeBytes });
  await setMode(part, request.target.mode);
  await syncAll(part);
  return copied;
}

interface Opened {
  readonly source: number;
  readonly part: number;
  readonly sizeBytes: number;
}

interface Copied {
  readonly method: LocalCopyMethod;
  /** The root of what was read. */
  readonly sourceDigest: () => Promise<string>;
}

/** By the shortest way there is between the two: reflink, in the kernel, or through the engine. Not flushed. */
export async function copyContent(files: Files, request: CopyWatch, opened: Opened): Promise<Copied> {
  const { source, part, sizeBytes } = opened;
  const readAgain = () => digestHeld(files, source, signalOf(request));
  if (await succeeds(files.clone(source, part))) return { method: "reflink", sourceDigest: readAgain };
  await setSize(part, sizeBytes);
  if (await succeeds(copyRanges(files, request, opened)))
    return { method: "copy-range", sourceDigest: readAgain };
  await setSize(part, 0);
  await setSize(part, sizeBytes);
  const tree = files.newDigestTree(sizeBytes);
  await copyLeaves(tree, request, opened);
  return { method: "engine", sourceDigest: async () => tree.root().toString("hex") };
}

const signalOf = ({ signal }: CopyWatch) => (signal === undefined ? {} : { signal });

async function succeeds(attempt: Promise<void>): Promise<boolean> {
  try {
    await attempt;
    return true;
  } catch (thrown) {
    if (CANNOT.has(errnoOf(thrown))) return false;
    throw thrown;
  }
}

async function copyRanges(
  files: Files,
  { signal, onProgress }: CopyWatch,
  { source, part, sizeBytes }: Opened,
): Promise<void> {
  const extents = await files.extents(source, 0, sizeBytes);
  let doneBytes = 0;
  for (const { start, end } of extents) {
    for (let at = start; at < end; ) {
      signal?.throwIfAborted();
      const copied = await files.copyRange(source, at, part, at, Math.min(end - at, RANGE_BYTES));
      if (copied === 0) throw new Fault("conflict", "the source shrank while it was copied");
      at += copied;
      doneBytes += copied;
      onProgress?.(doneBytes);
    }
  }
}

async function copyLeaves(
  tree: DigestTree,
  { signal, onProgress }: CopyWatch,
  { source, part }: Opened,
): Promise<void> {
  let doneBytes = 0;
  for (let first = 0; first < tree.leafCount; first += WINDOW_LEAVES) {
    signal?.throwIfAborted();
    doneBytes += await tree.copy(source, part, first, Math.min(WINDOW_LEAVES, tree.leafCount - first));
    onProgress?.(doneBytes);
  }
}

async function compare(
  files: Files,
  request: LocalCopyRequest,
  copied: Copied,
  partPath: string,
): Promise<FileDigest> {
  const need = await copied.sourceDigest();
  const have = await digestFile(files, partPath, signalOf(request));
  if (have.rootDigest === need) return have;
  throw new Fault("corrupt", `${partPath} differs from ${request.sourcePath}`, {
    have: have.rootDigest,
    need,
  });
}
