/**
 * clone-disks: both sides of the copy when a server is resized on its own host. The originals are read where they were set
 * aside, through descriptors that hold them, and each copy is recorded before it gets the name that an original had, so that
 * an unwinding can tell the two apart.
 *
 * A reflink is its source's very blocks and has no digest of its own, unless the disk is about to grow and has to be held
 * against what it was.
 */

import { dirname } from "node:path";
import { Fault } from "../../proto/fault.js";
import type { CloneDisks, CopyReceipt, ManifestFile } from "../../proto/gen/ferry/v1/agent.js";
import type { CopiedFile } from "../../proto/gen/ferry/v1/model.js";
import { factsAt, isSameFile } from "../disk/file-identity.js";
import type { FenceRecord } from "../fence/fence-record.js";
import type { Hold } from "../fence/verify-dead.js";
import { digestFile, digestHeld, type FileDigest } from "../transfer/digest-file.js";
import type { IncomingFile } from "../transfer/incoming-file.js";
import { copyLocally, type LocalCopy } from "../transfer/local-copy.js";
import { ProgressMeter } from "../transfer/progress.js";
import { LEAF_BYTES } from "../transfer/protocol.js";
import { incomingIdentity, makeFolder, recordIncoming } from "./incoming-artifacts.js";
import { incomingFiles, presentLines } from "./receive-disks.js";
import { isSameHost } from "./same-host.js";
import { fencedFile, fencedSource, holdFenced, watchHold } from "./send-disks.js";
import { targetDocument } from "./target-document.js";
import { progressOf } from "./transfer-progress.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const cloneDisks: Verb<CloneDisks> = async (request, call, world) => {
  const { plan, manifest, sourceHost } = await targetDocument(call, world);
  if (!isSameHost(sourceHost, world))
    throw new Fault("invalid-argument", `the server comes from ${sourceHost}: its disks are received`);
  const startedAtMs = world.now();
  const { record } = await fencedSource(call, world);
  const described = request.files.length > 0 ? request.files : manifest.files;
  const files = incomingFiles(plan, described, world);
  const growing = new Set(plan.files.filter(({ newSizeBytes }) => newSizeBytes > 0).map(({ id }) => id));
  const lines = await cloneHeld({ files, growing, described }, record, call, world);
  const [algorithm = ""] = world.engine.algorithms;
  const finished = { algorithm, finishedAtMs: world.now() };
  const copy: CopyReceipt = {
    ...finished,
    leafBytes: LEAF_BYTES,
    wireBytes: 0,
    startedAtMs,
    resumedBytes: 0,
    files: [...lines, ...presentLines(plan, described, finished)],
  };
  world.documents.put(call.serverId, call.migrationId, "copy", copy);
  return result({ copy });
};

interface Order {
  readonly files: readonly IncomingFile[];
  /** Ids of the disks whose digest the next step needs. */
  readonly growing: ReadonlySet<string>;
  readonly described: readonly ManifestFile[];
}

/** As with a copy to another host, whoever opens an original meanwhile ends the copy (SAFETY R7). */
async function cloneHeld(order: Order, record: FenceRecord, call: Call, world: World): Promise<CopiedFile[]> {
  await using hold = await holdFenced(record, call, world);
  const copied = new AbortController();
  const disturbed = watchHold(hold, copied.signal);
  const signal = AbortSignal.any([call.signal, disturbed.signal]);
  try {
    const lines = await cloneFiles(order, { record, hold }, { signal, call, world });
    await hold.requireUnbroken();
    return lines;
  } catch (error) {
    throw disturbed.signal.aborted ? disturbed.signal.reason : error;
  } finally {
    copied.abort();
    await disturbed.ended;
  }
}

interface Originals {
  readonly record: FenceRecord;
  readonly hold: Hold;
}

interface Scene {
  readonly signal: AbortSignal;
  readonly call: Call;
  readonly world: World;
}

async function cloneFiles(
  { files, growing, described }: Order,
  originals: Originals,
  scene: Scene,
): Promise<CopiedFile[]> {
  const { call, world } = scene;
  const meter = new ProgressMeter({ nowMs: world.now }, progress => call.progress(progressOf(progress)));
  for (const [index, { id, sizeBytes }] of files.entries()) {
    const dataBytes = described.find(file => file.id === id)?.dataBytes ?? sizeBytes;
    meter.expectFile(index, id, sizeBytes, sizeBytes - dataBytes);
  }
  meter.start();
  try {
    const lines: CopiedFile[] = [];
    for (const [index, file] of files.entries()) {
      const onBytes = (bytes: number) => meter.done(index, bytes);
      lines.push(await cloneFile({ file, isGrowing: growing.has(file.id), onBytes }, originals, scene));
    }
    return lines;
  } finally {
    meter.stop();
  }
}

interface Clone {
  readonly file: IncomingFile;
  readonly isGrowing: boolean;
  readonly onBytes: (bytes: number) => void;
}

async function cloneFile(clone: Clone, originals: Originals, scene: Scene): Promise<CopiedFile> {
  const { file, isGrowing } = clone;
  const { files } = scene.world;
  const original = fencedFile(file.id, originals.record, originals.hold);
  if (original?.fd === undefined)
    throw new Fault("refused", `${file.id} was not fenced: it may still change`);
  const { method, digest } = await cloneOnce(clone, { path: original.path, fd: original.fd }, scene);
  const known =
    digest ?? (isGrowing ? await digestFile(files, file.targetPath, { signal: scene.signal }) : undefined);
  const facts = await files.facts(original.fd);
  return {
    id: file.id,
    path: file.targetPath,
    mode: method === "reflink" ? "cloned" : "copied",
    sizeBytes: known?.sizeBytes ?? facts.sizeBytes,
    dataBytes: known?.dataBytes ?? Math.min(facts.allocatedBytes, facts.sizeBytes),
    algorithm: known?.algorithm ?? "",
    digest: known?.rootDigest ?? "",
    readBack: known?.readBackMode ?? "",
    changes: [],
    atMs: scene.world.now(),
  };
}

/** A copy that an interrupted call has finished and recorded is compared anew instead of being made again. */
async function cloneOnce(
  { file: target, onBytes }: Clone,
  source: { readonly path: string; readonly fd: number },
  { signal, call, world }: Scene,
): Promise<LocalCopy> {
  const path = target.targetPath;
  const [made, there] = [await incomingIdentity(path, call, world), await factsAt(world.files, path)];
  if (made !== undefined && there !== undefined && isSameFile(made, there))
    return { method: "engine", digest: await compareAgain(path, source.fd, signal, world) };
  await makeFolder(dirname(path), call, world);
  recordIncoming(path, undefined, call, world);
  let doneBytes = 0;
  return copyLocally(world.files, {
    sourcePath: source.path,
    sourceFd: source.fd,
    target,
    migrationId: call.migrationId,
    signal,
    onProgress(bytes) {
      onBytes(bytes - doneBytes);
      doneBytes = bytes;
    },
    onWhole: part => recordIncoming(path, part, call, world),
  });
}

async function compareAgain(
  path: string,
  sourceFd: number,
  signal: AbortSignal,
  { files }: World,
): Promise<FileDigest> {
  const need = await digestHeld(files, sourceFd, { signal });
  const have = await digestFile(files, path, { signal });
  if (have.rootDigest === need) return have;
  throw new Fault("corrupt", `${path} differs from what was set aside`, { have: have.rootDigest, need });
}
