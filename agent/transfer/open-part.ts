/**
 * Opening the part of one incoming file: finished already, to be gone on with, or to be begun.
 *
 *   final name taken ─ by our own finished file (journal names its identity) → finished
 *                    └ by anything else ─────────────────────────────────────→ already-exists, untouched
 *   part of this migration, same source, unchanged ──────────────────────────→ go on with what is verified
 *   part of this migration, source changed since ────────────────────────────→ compare with what it holds, leaf by leaf
 *   anything else ───────────────────────────────────────────────────────────→ empty file of the full size
 */

import { constants, ftruncate } from "node:fs";
import { promisify } from "node:util";
import { Fault } from "../../proto/fault.js";
import { isSameFile } from "../disk/file-identity.js";
import type { DigestTree, FileFacts, FileIdentity, Files } from "../os/files.js";
import { type LeafRange, runsOf } from "./digest-tree.js";
import { closeFd, openBelow, syncData, syncDirectoryOf } from "./fd-io.js";
import { errnoOf } from "./file-fault.js";
import { type IncomingFile, journalPathOf, partPathOf, rootOf } from "./incoming-file.js";
import type { OpenRequest } from "./messages.js";
import { type JournalContent, type JournalHeader, PartJournal } from "./part-journal.js";
import { LEAF_BYTES } from "./protocol.js";
import { type ReadBackMode, readBackModeOf, readLeaves } from "./read-back.js";

const setSize = promisify(ftruncate);

const NEW_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const OLD_FILE = constants.O_RDWR | constants.O_NOFOLLOW;

export interface PartPlace {
  readonly files: Files;
  readonly incoming: IncomingFile;
  readonly migrationId: string;
  /** Of the digests that both sides compute. */
  readonly algorithm: string;
  /** False: the part keeps its name, because another pass is to come. */
  readonly isLastPass: boolean;
  /** False: what a part holds of an older source is read again instead of believing its journal. */
  readonly trustsManifest: boolean;
  /** False for measurements only: what is written is not read back. */
  readonly readsBack: boolean;
  /** Tests corrupt the disk here: after the flush, before the read-back. */
  readonly beforeReadBack?: ((partPath: string, range: LeafRange) => Promise<void>) | undefined;
}

export interface OpenedPart {
  readonly fd: number;
  readonly journalFd: number;
  readonly journal: PartJournal;
  readonly content: JournalContent;
  /** What the part holds of an older source; what it does not know there may be anything. */
  readonly older: DigestTree | undefined;
  readonly readBackMode: ReadBackMode;
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
    const found = await journal.replay(files.newDigestTree, request.sizeBytes);
    const finalFd = await openExisting(files, incoming, incoming.targetPath, OLD_FILE);
    if (finalFd !== undefined) {
      const content = await keepOnSuccess(finalFd, fd => recogniseFinished(place, request, found, fd));
      const readBackMode = await readBackModeOf(files, finalFd);
      return { fd: finalFd, journalFd, journal, content, older: undefined, readBackMode, isFinished: true };
    }
    const fd = await openOrCreate(place);
    return await keepOnSuccess(fd, async () => {
      const readBackMode = place.readsBack ? await readBackModeOf(files, fd) : "none";
      const begun = await resumeOrBegin(place, request, { journal, found, fd });
      return { fd, journalFd, journal, ...begun, readBackMode, isFinished: false };
    });
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
  if (!isSameFile(found.header.part, await files.facts(fd))) throw taken(incoming);
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

interface Begun {
  readonly content: JournalContent;
  readonly older: DigestTree | undefined;
}

async function resumeOrBegin(place: PartPlace, request: OpenRequest, state: PartState): Promise<Begun> {
  const { found, fd } = state;
  const part = await place.files.facts(fd);
  if (found === undefined || !isUsable(found, part, request, place.algorithm)) {
    return await beginAnew(place, request, state, part);
  }
  if (!isSameSource(found.header, request)) return await beginOver(place, request, state, found);
  if (!found.header.holdsOlder) return { content: found, older: undefined };
  return { content: found, older: await readUnknown(place, fd, found.verified) };
}

async function beginAnew(
  place: PartPlace,
  request: OpenRequest,
  { journal, fd }: PartState,
  part: FileIdentity,
): Promise<Begun> {
  // The old journal must be gone before the bytes that it vouches for are.
  await journal.clear();
  await setSize(fd, 0);
  await setSize(fd, request.sizeBytes);
  await syncData(fd);
  return { content: await begin(place, request, journal, part, false), older: undefined };
}

/** What was verified for an older source is no longer verified, but worth a comparison. */
async function beginOver(
  place: PartPlace,
  request: OpenRequest,
  { journal, fd }: PartState,
  found: JournalContent,
): Promise<Begun> {
  await journal.clear();
  const content = await begin(place, request, journal, found.header.part, true);
  const isKnown = place.trustsManifest && !found.header.holdsOlder;
  return { content, older: isKnown ? found.verified : await readUnknown(place, fd, content.verified) };
}

/** The digests of what is there, of all leaves that are not verified. */
async function readUnknown(place: PartPlace, fd: number, verified: DigestTree): Promise<DigestTree> {
  const older = place.files.newDigestTree(verified.sizeBytes, verified.algorithm);
  const mode = await readBackModeOf(place.files, fd);
  for (const run of runsOf(verified)) {
    if (run.state === "unknown") await readLeaves(place.files, fd, older, run, mode);
  }
  return older;
}

async function begin(
  { files, incoming, migrationId, algorithm }: PartPlace,
  request: OpenRequest,
  journal: PartJournal,
  part: FileIdentity,
  holdsOlder: boolean,
): Promise<JournalContent> {
  const header: JournalHeader = {
    migrationId,
    fileId: incoming.id,
    algorithm,
    leafBytes: LEAF_BYTES,
    sizeBytes: request.sizeBytes,
    source: request.stamp,
    part: { device: part.device, inode: part.inode, birthNs: part.birthNs },
    holdsOlder,
  };
  await journal.begin(header);
  await syncDirectoryOf(incoming.targetPath);
  return { header, verified: files.newDigestTree(request.sizeBytes, algorithm), completeRoot: undefined };
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

const isSameSource = (header: JournalHeader, request: OpenRequest): boolean =>
  header.sizeBytes === request.sizeBytes &&
  isSameFile(header.source, request.stamp) &&
  header.source.mtimeNs === request.stamp.mtimeNs &&
  header.source.ctimeNs === request.stamp.ctimeNs;

/** The journal speaks of this very file, in our digests. */
const isUsable = (
  { header }: JournalContent,
  part: FileFacts,
  request: OpenRequest,
  algorithm: string,
): boolean =>
  header.algorithm === algorithm &&
  header.leafBytes === LEAF_BYTES &&
  header.sizeBytes === request.sizeBytes &&
  isSameFile(header.part, part) &&
  part.sizeBytes === request.sizeBytes;

async function keepOnSuccess<T>(fd: number, use: (fd: number) => Promise<T>): Promise<T> {
  try {
    return await use(fd);
  } catch (thrown) {
    await closeFd(fd);
    throw thrown;
  }
}
