/**
 * prepare-disks: what was not copied is made here, and what was copied grows to the size of a resize's flavor or gets
 * another format. Swap
 * disks get the label and uuid that they had (SAFETY R8); whatever is made or changed has a line of its own in the
 * second receipt (R11).
 *
 * A disk has its name only once it is whole and recorded; what an interrupted attempt left is made again.
 */

import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault } from "../../proto/fault.js";
import type { CopyReceipt, ManifestFile, PlannedFile, PrepareDisks } from "../../proto/gen/ferry/v1/agent.js";
import type { CopiedFile } from "../../proto/gen/ferry/v1/model.js";
import { createEphemeralDisk, ephemeralLabel } from "../disk/ephemeral.js";
import { factsAt, isSameFile } from "../disk/file-identity.js";
import { createSwapDisk, SWAP_PAGE_BYTES, swapSpaceOf } from "../disk/swap.js";
import { digestFile } from "../transfer/digest-file.js";
import { convertDisk, convertEdges } from "./convert-disk.js";
import { growDisk } from "./grow-disk.js";
import { incomingIdentity, makeFolder, recordIncoming } from "./incoming-artifacts.js";
import { targetDocument } from "./target-document.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const prepareDisks: Verb<PrepareDisks> = async (request, call, world) => {
  const { plan, manifest } = await targetDocument(call, world);
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
  world.documents.put(call.serverId, call.migrationId, "made", copy);
  return result({ copy });
};

/** Has more done to it than being copied, and so a line in the second receipt. */
export const isPrepared = ({ mode, newSizeBytes, convertTo }: PlannedFile): boolean =>
  mode === "re-created" || mode === "added" || newSizeBytes > 0 || convertTo !== undefined;

async function prepareDisk(
  planned: PlannedFile,
  file: ManifestFile | undefined,
  call: Call,
  world: World,
): Promise<CopiedFile> {
  if (planned.convertTo !== undefined) return { ...(await convert(planned, call, world)), atMs: world.now() };
  if (planned.mode === "copied") return { ...(await growDisk(planned, call, world)), atMs: world.now() };
  if (planned.mode === "added" && planned.role === "ephemeral") return addEphemeral(planned, call, world);
  return makeSwap(planned, file, call, world);
}

const convert = (planned: PlannedFile, call: Call, world: World): Promise<CopiedFile> =>
  convertDisk(
    planned,
    call,
    convertEdges(world, {
      identityOf: path => incomingIdentity(path, call, world),
      record: (path, facts) => recordIncoming(path, facts, call, world),
    }),
  );

async function addEphemeral(planned: PlannedFile, call: Call, world: World): Promise<CopiedFile> {
  const { id, path, newSizeBytes: sizeBytes, mode } = planned;
  const disk = { sizeBytes, label: ephemeralLabel(0) };
  await makeDisk(path, call, world, partPath =>
    createEphemeralDisk(world.runTool, { ...disk, path: partPath }),
  );
  const { algorithm, rootDigest, dataBytes, readBackMode } = await digestFile(world.files, path, {
    signal: call.signal,
  });
  const digest = { algorithm, digest: rootDigest, readBack: readBackMode };
  return { id, path, mode, sizeBytes, dataBytes, ...digest, changes: [], atMs: world.now() };
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
  const { uuid, label } = header ?? { uuid: uuidOf(call, id), label: "swap" };
  const byteOrder = header?.bigEndian === true ? ("big" as const) : ("little" as const);
  const space = { ...swapSpaceOf(sizeBytes, uuid, label), byteOrder };
  await makeDisk(path, call, world, partPath => createSwapDisk(partPath, sizeBytes, space));
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
    atMs: world.now(),
  };
}

/** The same each time, so that a repeated call says what the first one made. */
function uuidOf({ migrationId }: Call, fileId: string): string {
  const hex = createHash("sha256").update(`swap ${migrationId} ${fileId}`).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    "-",
  );
}

/** Made under a name that is nobody else's and recorded, then given its own: what has that already is never touched. */
async function makeDisk(
  path: string,
  call: Call,
  world: World,
  make: (partPath: string) => Promise<void>,
): Promise<void> {
  const [made, there] = [await incomingIdentity(path, call, world), await factsAt(world.files, path)];
  if (made !== undefined && there !== undefined && isSameFile(made, there)) return;
  await makeFolder(dirname(path), call, world);
  recordIncoming(path, undefined, call, world);
  const partPath = `${path}.part-${call.migrationId}`;
  await rm(partPath, { force: true });
  await make(partPath);
  recordIncoming(path, await factsAt(world.files, partPath), call, world);
  await world.files.renameNoReplace(partPath, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
    throw new Fault("already-exists", `${path} exists and was not made by this migration`, {
      fix: "move it away; Ferry never overwrites a file",
    });
  });
}
