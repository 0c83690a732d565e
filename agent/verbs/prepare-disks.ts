/**
 * prepare-disks: what was not copied is made here, and what was copied grows to the size of a resize's flavor. Swap
 * disks get the label and uuid that they had (SAFETY R8); whatever is made or changed has a line of its own in the
 * second receipt (R11).
 *
 * A disk that is made is made whole or not at all, so one left by an interrupted attempt is removed by identity and made
 * again.
 */

import { randomUUID } from "node:crypto";
import { basename, dirname } from "node:path";
import { Fault } from "../../proto/fault.js";
import type { CopyReceipt, ManifestFile, PlannedFile, PrepareDisks } from "../../proto/gen/ferry/v1/agent.js";
import type { CopiedFile } from "../../proto/gen/ferry/v1/model.js";
import { createEphemeralDisk, ephemeralLabel } from "../disk/ephemeral.js";
import { factsAt, removeByIdentity } from "../disk/file-identity.js";
import { createSwapDisk, SWAP_PAGE_BYTES, swapSpaceOf } from "../disk/swap.js";
import { digestFile } from "../transfer/digest-file.js";
import { growDisk } from "./grow-disk.js";
import { makeFolder, recordIncoming } from "./incoming-artifacts.js";
import { targetDocument } from "./target-document.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const prepareDisks: Verb<PrepareDisks> = async (request, call, world) => {
  const { plan, manifest } = targetDocument(call, world);
  const described = request.files.length > 0 ? request.files : manifest.files;
  const startedAtMs = world.now();
  const files: CopiedFile[] = [];
  for (const planned of plan.files.filter(isPrepared)) {
    const file = described.find(({ id }) => id === planned.id);
    files.push(await prepareDisk(planned, file, call, world));
  }
  const copy: CopyReceipt = {
    algorithm: "none",
    leafBytes: 0,
    files,
    wireBytes: 0,
    startedAtMs,
    finishedAtMs: world.now(),
    resumedBytes: 0,
  };
  world.documents.put(call.serverId, call.migrationId, "second-receipt", copy);
  return result({ copy });
};

/** Has more done to it than being copied, and so a line in the second receipt. */
export const isPrepared = ({ mode, newSizeBytes }: PlannedFile): boolean =>
  mode === "re-created" || mode === "added" || newSizeBytes > 0;

function prepareDisk(
  planned: PlannedFile,
  file: ManifestFile | undefined,
  call: Call,
  world: World,
): Promise<CopiedFile> {
  if (planned.mode === "copied") return growDisk(planned, call, world);
  if (planned.mode === "added" && planned.role === "ephemeral") return addEphemeral(planned, call, world);
  return makeSwap(planned, file, call, world);
}

async function addEphemeral(planned: PlannedFile, call: Call, world: World): Promise<CopiedFile> {
  const { id, path, newSizeBytes: sizeBytes, mode } = planned;
  const disk = { path, sizeBytes, label: ephemeralLabel(0) };
  await makeAnew(path, call, world, () => createEphemeralDisk(world.runTool, disk));
  const { rootDigest, dataBytes, readBackMode } = await digestFile(world.files, path, {
    signal: call.signal,
  });
  const digest = { algorithm: "sha256", digest: rootDigest, readBack: readBackMode };
  return { id, path, mode, sizeBytes, dataBytes, ...digest, changes: [] };
}

/** The header that it had, at its old size or a new one; a new header for a swap disk that the flavor adds. */
async function makeSwap(
  planned: PlannedFile,
  file: ManifestFile | undefined,
  call: Call,
  world: World,
): Promise<CopiedFile> {
  const header = file?.swap;
  if (header === undefined && planned.mode !== "added")
    throw new Fault("invalid-argument", `${planned.id} is to be re-created but is no swap`);
  const { id, path, mode } = planned;
  const sizeBytes = planned.newSizeBytes || (header?.sizeBytes ?? 0);
  const { uuid, label } = header ?? { uuid: randomUUID(), label: "swap" };
  const byteOrder = header?.bigEndian === true ? ("big" as const) : ("little" as const);
  const space = { ...swapSpaceOf(sizeBytes, uuid, label), byteOrder };
  await makeAnew(path, call, world, () => createSwapDisk(path, sizeBytes, space));
  const digest = `swap uuid ${uuid}${label === "" ? "" : ` label ${label}`}`;
  return {
    id,
    path,
    mode,
    sizeBytes,
    dataBytes: SWAP_PAGE_BYTES,
    algorithm: "",
    digest,
    readBack: "",
    changes: [],
  };
}

async function makeAnew(path: string, call: Call, world: World, make: () => Promise<void>): Promise<void> {
  await removeEarlierAttempt(path, call, world);
  await makeFolder(dirname(path), call, world);
  recordIncoming(path, undefined, call, world);
  await make();
  recordIncoming(path, await factsAt(world.files, path), call, world);
}

async function removeEarlierAttempt(path: string, call: Call, world: World): Promise<void> {
  const earlier = world.artifacts
    .of(call.serverId, call.migrationId)
    .find(artifact => artifact.path === path);
  if (earlier === undefined) return;
  const identity = earlier.identity ?? (await factsAt(world.files, path));
  if (identity !== undefined) await removeByIdentity(world.files, dirname(path), identity, basename(path));
}
