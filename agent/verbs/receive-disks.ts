/**
 * receive-disks: the target's side of the copy. Every file and folder is journalled before it is made; the copy
 * receipt is durable before the transfer's own journals go.
 */

import { dirname } from "node:path";
import type {
  CopyReceipt,
  DiskDevice,
  ManifestFile,
  ReceiveDisks,
  TargetPlan,
} from "../../proto/gen/ferry/v1/agent.js";
import type { CopiedFile } from "../../proto/gen/ferry/v1/model.js";
import { activeLayerOf } from "../disk/active-layer.js";
import { identityOf } from "../disk/block-device.js";
import { factsAt } from "../disk/file-identity.js";
import { forgetTransfer, type IncomingFile } from "../transfer/incoming-file.js";
import type { TransferProgress } from "../transfer/progress.js";
import { LEAF_BYTES } from "../transfer/protocol.js";
import type { CopyReceipt as Received } from "../transfer/receipt.js";
import { incomingIdentity, makeFolder, recordIncoming, trustedRoot } from "./incoming-artifacts.js";
import { removeNonces } from "./storage-proof.js";
import { targetDocument } from "./target-document.js";
import { progressOf } from "./transfer-progress.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const receiveDisks: Verb<ReceiveDisks> = async (request, call, world) => {
  const { plan, sourceHost, manifest } = await targetDocument(call, world);
  await removeNonces(call, world);
  const described = request.files.length > 0 ? request.files : manifest.files;
  const files = incomingFiles(plan, described, world);
  const before = world.documents.get<CopyReceipt>(call.serverId, call.migrationId, "copy");
  // Killed between the receipt and the answer: the transfer's journals, which know the files, may be gone already.
  if (before !== undefined) return finished(before, files, call);
  for (const { targetPath } of files) {
    await makeFolder(dirname(targetPath), call, world);
    recordIncoming(targetPath, await incomingIdentity(targetPath, call, world), call, world);
  }
  const expected = { files, token: plan.token, sourceHost };
  const copy = receiptOf(await receive(expected, call, world), plan, described);
  for (const { targetPath } of files)
    recordIncoming(targetPath, await factsAt(world.files, targetPath), call, world);
  world.documents.put(call.serverId, call.migrationId, "copy", copy);
  return finished(copy, files, call);
};

async function finished(copy: CopyReceipt, files: readonly IncomingFile[], { migrationId }: Call) {
  await forgetTransfer(files, migrationId);
  return result({ copy });
}

interface Expected {
  readonly files: readonly IncomingFile[];
  readonly token: string;
  readonly sourceHost: string;
}

async function receive({ files, token, sourceHost }: Expected, call: Call, world: World): Promise<Received> {
  if (files.length === 0) return nothing(world);
  const { migrationId, serverId, epoch, signal } = call;
  const onProgress = (progress: TransferProgress) => call.progress(progressOf(progress));
  const expectation = { migrationId, serverId, epoch, signal, sourceHost, files, token, onProgress };
  return world.transfer.expect(expectation).done;
}

/** Of a server all of whose disks stay where they are: nobody connects. */
function nothing({ engine, now }: World): Received {
  const [algorithm = ""] = engine.algorithms;
  const atMs = now();
  const span = { wireBytes: 0, startedAtMs: atMs, finishedAtMs: atMs, resumedBytes: 0 };
  return { algorithm, leafBytes: LEAF_BYTES, files: [], ...span };
}

export function incomingFiles(
  plan: TargetPlan,
  described: readonly ManifestFile[],
  world: World,
): IncomingFile[] {
  return plan.files
    .filter(({ mode }) => mode === "copied")
    .map(planned => {
      const sizeBytes = described.find(({ id }) => id === planned.id)?.sizeBytes ?? planned.sizeBytes;
      return {
        id: planned.id,
        targetPath: planned.path,
        sizeBytes,
        mode: planned.permissions,
        ...trustedRoot(planned.path, world),
      };
    });
}

function receiptOf(received: Received, plan: TargetPlan, described: readonly ManifestFile[]): CopyReceipt {
  return {
    algorithm: received.algorithm,
    leafBytes: received.leafBytes,
    wireBytes: received.wireBytes,
    startedAtMs: received.startedAtMs,
    finishedAtMs: received.finishedAtMs,
    resumedBytes: received.resumedBytes,
    files: [
      ...received.files.map(file => ({
        id: file.id,
        path: file.path,
        mode: "copied",
        sizeBytes: file.sizeBytes,
        dataBytes: file.dataBytes,
        algorithm: received.algorithm,
        digest: file.rootDigest,
        readBack: file.readBackMode,
        changes: [],
        atMs: received.finishedAtMs,
      })),
      ...presentLines(plan, described, received),
    ],
  };
}

/** Files that were here already, or are on both hosts, have their line too: every file of the plan is accounted for. */
export const presentLines = (
  { files, blockDevices }: TargetPlan,
  described: readonly ManifestFile[],
  { algorithm, finishedAtMs }: Pick<Received, "algorithm" | "finishedAtMs">,
): CopiedFile[] => [
  ...files
    .filter(({ mode }) => mode === "present" || mode === "shared")
    .map(({ id, path, sizeBytes, mode }) => {
      // By which both sides were found to be equal, when they were compared.
      const digest = described.find(file => file.id === id)?.digest ?? "";
      const known = { algorithm: digest === "" ? "" : algorithm, digest, atMs: finishedAtMs };
      return { id, path, sizeBytes, mode, dataBytes: 0, readBack: "", changes: [], ...known };
    }),
  ...blockDevices.map(device => deviceLine(device, finishedAtMs)),
];

/** What it is known by in place of a digest: its content is never looked at. */
const deviceLine = (device: DiskDevice, atMs: number): CopiedFile => ({
  id: activeLayerOf(device.targetDev),
  path: device.path,
  mode: "shared",
  sizeBytes: device.sizeBytes,
  dataBytes: 0,
  algorithm: "",
  digest: `device ${identityOf(device)}`,
  readBack: "",
  changes: [],
  atMs,
});
