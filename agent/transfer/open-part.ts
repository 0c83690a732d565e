/**
 * Opening the part of one incoming file: finished already, to be gone on with, or to be begun.
 *
 *   final name taken ─ by our own finished file (journal names its identity) → finished
 *                    └ by anything else ─────────────────────────────────────→ already-exists, untouched
 *   part of this migration, same source, unchanged ──────────────────────────→ go on with what is verified
 *   anything else ───────────────────────────────────────────────────────────→ empty file of the full size
 */

import { constants, ftruncate } from "node:fs";
import { promisify } from "node:util";
import { Fault } from "../../proto/fault.js";
import type { FileFacts, FileIdentity, Files } from "../os/files.js";
import { DIGEST_ALGORITHM, DigestTree } from "./digest-tree.js";
import { closeFd, openBelow, syncData, syncDirectoryOf } from "./fd-io.js";
import { errnoOf } from "./file-fault.js";
import { type IncomingFile, journalPathOf, partPathOf, rootOf } from "./incoming-file.js";
import type { OpenRequest } from "./messages.js";
import { type JournalContent, type JournalHeader, PartJournal } from "./part-journal.js";
import { LEAF_BYTES } from "./protocol.js";
import type { LeafRange } from "./read-back.js";

const setSize = promisify(ftruncate);

const NEW_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const OLD_FILE = constants.O_RDWR | constants.O_NOFOLLOW;

export interface PartPlace {
  readonly files: Files;
  readonly incoming: IncomingFile;
  readonly migrationId: string;
  /** Tests corrupt the disk here: after the flush, before the read-back. */
  readonly beforeReadBack?: ((partPath: string, range: LeafRange) => Promise<void>) | undefined;
}

export interface OpenedPart {
  readonly fd: number;
  readonly journalFd: number;
  readonly journal: PartJournal;
  readonly content: JournalContent;
  readonly isFinished: boolean;
}

/** Opens part and journal; both descriptors are the caller's from then on. */
export async function openPart(place: PartPlace, request: OpenRequest): Promise<OpenedPart> {
  const { files, incoming, migrationId } = place;
  const journalPath = journalPathOf(incoming, migrationId);
  await refuseForeign(place);
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const journalFd = await openBelow(files, journalPath, rootOf(incoming), flags, 0o600);
  return await keepOnSuccess(journalFd, async () => {
    const journal = new PartJournal(journalFd);
    const found = await journal.replay();
    const finalFd = await openExisting(files, incoming, incoming.targetPath, OLD_FILE);
    if (finalFd !== undefined) {
      const content = await keepOnSuccess(finalFd, fd => recogniseFinished(place, request, found, fd));
      return { fd: finalFd, journalFd, journal, content, isFinished: true };
    }
    const fd = await openOrCreate(place);
    const content = await keepOnSuccess(fd, () => resumeOrBegin(place, request, { journal, found, fd }));
    return { fd, journalFd, journal, content, isFinished: false };
  });
}

/** A final name that is taken is ours only if a journal of this migration stands beside it; else nothing is created. */
async function refuseForeign({ files, incoming, migrationId }: PartPlace): Promise<void> {
  const fd = await openExisting(files, incoming, incoming.targetPath, constants.O_RDONLY);
  if (fd === undefined) return;
  await closeFd(fd);
  const journalPath = journalPathOf(incoming, migrationId);
  const journalFd = await openExisting(files, incoming, journalPath, constants.O_RDONLY);
  if (journalFd === undefined) throw taken(incoming);
  await closeFd(journalFd);
}

/** The file that carries the final name: ours, complete, and of the source as it is now; or a refusal. */
async function recogniseFinished(
  { files, incoming }: PartPlace,
  request: OpenRequest,
  found: JournalContent | undefined,
  fd: number,
): Promise<JournalContent> {
  if (found?.completeRoot === undefined) throw taken(incoming);
  if (!sameFile(found.header.part, await files.facts(fd))) throw taken(incoming);
  if (isSameSource(found.header, request)) return found;
  throw new Fault("conflict", `source of ${incoming.id} changed after its copy was finished`);
}

async function openOrCreate({ files, incoming, migrationId }: PartPlace): Promise<number> {
  const path = partPathOf(incoming, migrationId);
  const fd =
    (await openExisting(files, incoming, path, OLD_FILE)) ??
    (await openBelow(files, path, rootOf(incoming), NEW_FILE, 0o600));
  return await keepOnSuccess(fd, async () => {
    if (await files.lockExclusive(fd)) return fd;
    throw new Fault("conflict", `${path} is being written by another process`);
  });
}

interface PartState {
  readonly journal: PartJournal;
  readonly found: JournalContent | undefined;
  readonly fd: number;
}

async function resumeOrBegin(
  place: PartPlace,
  request: OpenRequest,
  { journal, found, fd }: PartState,
): Promise<JournalContent> {
  const part = await place.files.facts(fd);
  if (found !== undefined && canResume(found, part, request)) return found;
  const header: JournalHeader = {
    migrationId: place.migrationId,
    fileId: place.incoming.id,
    algorithm: DIGEST_ALGORITHM,
    leafBytes: LEAF_BYTES,
    sizeBytes: request.sizeBytes,
    source: request.stamp,
    part: { device: part.device, inode: part.inode, birthNs: part.birthNs },
  };
  // The old journal must be gone before the bytes that it vouches for are.
  await journal.clear();
  await setSize(fd, 0);
  await setSize(fd, request.sizeBytes);
  await syncData(fd);
  await journal.begin(header);
  await syncDirectoryOf(place.incoming.targetPath);
  return { header, verified: new DigestTree(request.sizeBytes), completeRoot: undefined };
}

async function openExisting(
  files: Files,
  incoming: IncomingFile,
  path: string,
  flags: number,
): Promise<number | undefined> {
  try {
    return await openBelow(files, path, rootOf(incoming), flags | constants.O_NOFOLLOW);
  } catch (thrown) {
    if (errnoOf(thrown) === "ENOENT") return undefined;
    // Something that we cannot even open stands there: a link, a socket, a directory.
    if (["ELOOP", "ENXIO", "EISDIR"].includes(errnoOf(thrown))) throw taken(incoming, path);
    throw thrown;
  }
}

const taken = (incoming: IncomingFile, path = incoming.targetPath): Fault =>
  new Fault("already-exists", `${path} exists and was not made by this migration`, {
    have: path,
    need: "a free name",
    fix: "move it away; Ferry never overwrites a file",
  });

const sameFile = (a: FileIdentity, b: FileIdentity): boolean =>
  a.device === b.device && a.inode === b.inode && a.birthNs === b.birthNs;

const isSameSource = (header: JournalHeader, request: OpenRequest): boolean =>
  header.sizeBytes === request.sizeBytes &&
  sameFile(header.source, request.stamp) &&
  header.source.mtimeNs === request.stamp.mtimeNs &&
  header.source.ctimeNs === request.stamp.ctimeNs;

const canResume = ({ header }: JournalContent, part: FileFacts, request: OpenRequest): boolean =>
  header.algorithm === DIGEST_ALGORITHM &&
  header.leafBytes === LEAF_BYTES &&
  sameFile(header.part, part) &&
  part.sizeBytes === request.sizeBytes &&
  isSameSource(header, request);

async function keepOnSuccess<T>(fd: number, use: (fd: number) => Promise<T>): Promise<T> {
  try {
    return await use(fd);
  } catch (thrown) {
    await closeFd(fd);
    throw thrown;
  }
}
