/**
 * send-disks: the source's side of the copy. Fenced files are read where they were set aside, through descriptors
 * that hold a lease and QEMU's image lock for as long as the copy takes: a process that opens one of them ends the
 * copy instead of changing what is being copied (SAFETY R7).
 */

import { setInterval } from "node:timers/promises";
import { asFault, Fault } from "../../proto/fault.js";
import type { ManifestFile, SendDisks, SourceManifest, TargetPlan } from "../../proto/gen/ferry/v1/agent.js";
import type { FenceRecord } from "../fence/fence-record.js";
import { type Hold, verifyDead } from "../fence/verify-dead.js";
import { limitAgain } from "../limit-transfer.js";
import { chosenPolicy } from "../transfer/compression.js";
import type { OutgoingFile } from "../transfer/outgoing-file.js";
import { sendFiles } from "../transfer/source.js";
import { dialTarget } from "./dial-target.js";
import { type HeldDevices, holdDevices } from "./hold-devices.js";
import { fenceKey, finalDocument, sourceDocument } from "./source-document.js";
import { progressOf } from "./transfer-progress.js";
import { type Call, result, type Verb, type World } from "./verb.js";

const LOOK_INTERVAL_MS = 1_000;

export const sendDisks: Verb<SendDisks> = async ({ plan, targetHost, compression }, call, world) => {
  if (plan === undefined) throw new Fault("invalid-argument", "send-disks needs the target's plan");
  const { record, manifest } = await fencedSource(call, world);
  if (!plan.files.some(({ mode }) => mode === "copied")) return result();
  await using hold = await holdFenced(record, call, world);
  await using devices = await holdDevices(copiedDevices(record), world.blockDevices);
  const requireUnbroken = async () => {
    await hold.requireUnbroken();
    await devices.requireUnwritten();
  };
  limitAgain(call, world);
  const copied = new AbortController();
  const disturbed = watchHold({ requireUnbroken }, copied.signal);
  const signal = AbortSignal.any([call.signal, disturbed.signal]);
  try {
    const { sentBytes, wireBytes } = await sendFiles(
      { engine: world.engine, files: world.files, clock: { nowMs: world.now }, log: world.log },
      {
        address: plan.dataAddress,
        port: plan.dataPort,
        expectHost: targetHost,
        ...dialTarget(world),
        migrationId: call.migrationId,
        serverId: call.serverId,
        epoch: call.epoch,
        token: plan.token,
        files: outgoingFiles(plan, { record, manifest, hold, devices }),
        bandwidth: world.bandwidth.limitsOf(call.migrationId),
        compression: chosenPolicy(compression, world.config.compression),
        signal,
        onProgress: progress => call.progress(progressOf(progress)),
      },
    );
    await requireUnbroken();
    const [sent, travelled] = [inMib(sentBytes), inMib(wireBytes)];
    if (sent !== travelled) call.note(`${sent} of disk data travelled as ${travelled}`);
  } catch (error) {
    throw disturbed.signal.aborted ? asFault(disturbed.signal.reason) : error;
  } finally {
    copied.abort();
    await disturbed.ended;
  }
  return result();
};

const inMib = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`;

export async function fencedSource(
  call: Call,
  world: World,
): Promise<{ record: FenceRecord; manifest: SourceManifest }> {
  const { incarnation } = sourceDocument(call, world);
  const record = await world.fence.journal.find(fenceKey(call, incarnation));
  const manifest = finalDocument(call, world)?.manifest;
  if (record?.state === "fenced" && manifest !== undefined) return { record, manifest };
  throw new Fault("refused", "the source is not fenced: its disks may still change");
}

/** Logs are not copied, so nothing is held of them: a person may read them meanwhile. */
export const holdFenced = (record: FenceRecord, call: Call, world: World): Promise<Hold> =>
  verifyDead(world.fence, {
    server: call.serverId,
    files: record.files
      .filter(({ id }) => !id.startsWith("log/"))
      .map(({ id, asidePath }) => ({ id, path: asidePath })),
    otherIncarnation: false,
  });

/** Looks every second; `ended` settles once nothing looks any more, so that the hold can be disposed. */
export function watchHold(
  hold: Pick<Hold, "requireUnbroken">,
  until: AbortSignal,
): { signal: AbortSignal; ended: Promise<void> } {
  const disturbed = new AbortController();
  const look = async () => {
    for await (const _ of setInterval(LOOK_INTERVAL_MS, undefined, { signal: until }))
      await hold.requireUnbroken();
  };
  const ended = look().catch((error: unknown) => {
    if (!until.aborted) disturbed.abort(asFault(error));
  });
  return { signal: disturbed.signal, ended };
}

const copiedDevices = ({ devices = [] }: FenceRecord) => devices.filter(({ isCopied }) => isCopied === true);

interface Fenced {
  readonly record: FenceRecord;
  readonly manifest: SourceManifest;
  readonly hold: Hold;
  readonly devices: HeldDevices;
}

/**
 * Only what was fenced, or is read-only below it (backing files, media), is ever sent. The plan has come by way of the
 * controller: it chooses among the files and devices of this source's own manifest and cannot name any other.
 */
function outgoingFiles(plan: TargetPlan, { record, manifest, hold, devices }: Fenced): OutgoingFile[] {
  return plan.files
    .filter(({ mode }) => mode === "copied")
    .map(({ id }) => {
      const device = devices.outgoing(id);
      if (device !== undefined) return device;
      const file = manifest.files.find(candidate => candidate.id === id);
      if (file === undefined) throw new Fault("invalid-argument", `${id} is no file of this migration`);
      return fencedFile(id, record, hold) ?? readOnlyFile(file);
    });
}

export function fencedFile(id: string, record: FenceRecord, hold: Hold): OutgoingFile | undefined {
  const [owner, within] = id.startsWith("tpm/") ? ["tpm", id.slice("tpm/".length)] : [id, ""];
  const file = record.files.find(candidate => candidate.id === owner);
  if (file === undefined) return undefined;
  const path = within === "" ? file.asidePath : `${file.asidePath}/${within}`;
  const fd = hold.descriptor(owner, within);
  return fd === undefined ? { id, path } : { id, path, fd };
}

function readOnlyFile({ id, kind, path }: ManifestFile): OutgoingFile {
  if (kind === "backing" || kind === "media") return { id, path };
  throw new Fault("refused", `${id} was not fenced: it may still change`);
}
