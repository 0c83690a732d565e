/**
 * fence-source: from stopped to provably unable to run here, answered with the signed fence receipt (SAFETY R5–R10).
 *
 * First the source is looked at again: it must be what prepare-source saw (R17). That last look also gives the final
 * sizes, because from here on nothing changes any more.
 */

import { Fault } from "../../proto/fault.js";
import type { FenceIncarnation, ManifestFile, SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import { activeLayerOf } from "../disk/active-layer.js";
import { identityOf, lastingIdentityOf } from "../disk/block-device.js";
import { type FenceOrder, fence } from "../fence/fence.js";
import type { IncarnationFile } from "../fence/fence-record.js";
import { bookDefined } from "./book-hardware.js";
import { logFiles } from "./log-files.js";
import { activeGuest, surveyManaged } from "./prepare-source.js";
import { isSameHost } from "./same-host.js";
import { requireSettledHook } from "./settled-hook.js";
import { signedReceipt } from "./signed-receipt.js";
import {
  type FinalDocument,
  fenceKey,
  finalDocument,
  type SourceDocument,
  sourceDocument,
  storageDocument,
} from "./source-document.js";
import { manifestOf } from "./source-manifest.js";
import { SWTPM_DIR } from "./state-dirs.js";
import { removeNonces } from "./storage-proof.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const fenceIncarnation: Verb<FenceIncarnation> = async (request, call, world) => {
  const { stateHash, peerHost } = request;
  const source = sourceDocument(call, world);
  requireSettledHook(world);
  requireGuarded(world);
  // Looked at anew until the fence itself has been journalled: from then on the files may be aside.
  const begun = await world.fence.journal.find(fenceKey(call, source.incarnation));
  const last = begun && finalDocument(call, world);
  const shared = sharedFiles(request, call, world);
  const { manifest } = last ?? (await lastLook(source, { stateHash, peerHost, shared }, call, world));
  // Kept for the way back: from here on no definition says any more what it has.
  await bookDefined(manifest.domainXml, source.incarnation, call, world);
  await removeNonces(call, world);
  const fenced = await fence(world.fence, {
    server: call.serverId,
    migration: call.migrationId,
    incarnation: source.incarnation,
    epoch: call.epoch,
    peerHost,
    files: [
      ...incarnationFiles(manifest.files, call.serverId),
      ...(await logFiles(manifest.domainXml, world)),
    ],
    ...fencedDevices(manifest.blockDevices, copiedDevices(peerHost, call, world)),
  });
  await fenced.hold[Symbol.asyncDispose]();
  world.guests.update(call.serverId, { role: "fenced", migrationId: call.migrationId });
  return result({ receipt: signedReceipt(fenced.statement, world), manifest });
};

/** A receipt is worth what the hook of the daemon that runs now is worth (SAFETY R6d). */
function requireGuarded({ hook }: World): void {
  const problem = hook.problem();
  if (problem === "") return;
  // Not a plain no: the self-test is repeated by itself after libvirt was restarted.
  throw new Fault("failed", `the libvirt hook does not guard the source: ${problem}`, {
    fix: "restart libvirtd, then try again",
  });
}

/** What this side has proven with this peer, and nothing else: a controller's word moves no disk and spares none. */
function sharedFiles(
  { peerHost, sharedFiles: asked }: FenceIncarnation,
  call: Call,
  world: World,
): Set<string> {
  if (isSameHost(peerHost, world)) return new Set();
  const proven = storageDocument(call, world);
  const shared = new Set(proven?.peerHost === peerHost ? proven.shared : []);
  const isAsked = asked.length === shared.size && asked.every(id => shared.has(id));
  if (proven?.peerHost === peerHost && isAsked) return shared;
  throw new Fault("refused", `which disks ${peerHost} has as well was not proven`, {
    have: proven === undefined ? "no proof" : `${[...shared].join(", ") || "none"}, with ${proven.peerHost}`,
    need: [...asked].join(", ") || "none",
    fix: "migrate again",
  });
}

interface Expected {
  readonly stateHash: string;
  readonly peerHost: string;
  readonly shared: ReadonlySet<string>;
}

async function lastLook(
  source: SourceDocument,
  { stateHash, peerHost, shared }: Expected,
  call: Call,
  world: World,
): Promise<FinalDocument> {
  const survey = await surveyManaged(activeGuest(call, world), source.readOnlyDrives, world);
  const [first] = survey.refusals;
  if (first !== undefined) throw new Fault("refused", `changed behind Ferry: ${first.message}`);
  const seen = await manifestOf(survey, { digests: false }, call, world);
  const prepared = source.manifest.stateHash;
  if (seen.stateHash !== prepared || (stateHash !== "" && stateHash !== prepared)) {
    throw new Fault("refused", "the server was changed behind Ferry after it was prepared", {
      have: seen.stateHash.slice(0, 16),
      need: prepared.slice(0, 16),
      fix: "find out who redefined it or replaced a disk, then migrate again",
    });
  }
  const files = seen.files.map(file =>
    shared.has(file.id) ? { ...file, mode: "shared" } : keptMode(file, source.manifest.files),
  );
  const document: FinalDocument = { manifest: { ...seen, files }, peerHost };
  world.documents.put(call.serverId, call.migrationId, "final", document);
  return document;
}

/**
 * A swap disk that was clean and is not any more would have to be copied, but the target has planned to re-create it;
 * one that has become clean since stays copied. Digests of backing files are kept: they were read then.
 */
function keptMode(file: ManifestFile, before: readonly ManifestFile[]): ManifestFile {
  const planned = before.find(({ id }) => id === file.id);
  if (planned === undefined || planned.mode === file.mode) return { ...file, digest: planned?.digest ?? "" };
  if (planned.mode === "copied")
    return { ...file, kind: planned.kind, mode: "copied", swap: undefined, dataBytes: file.sizeBytes };
  throw new Fault(
    "refused",
    `swap disk ${file.id} does not hold clean swap any more; it may not be dropped`,
    {
      fix: "adopt the server again without naming that disk as swap",
    },
  );
}

/** What belongs to the incarnation and is moved aside, unless it is shared. Backing files and media never are (SAFETY R10). */
function incarnationFiles(files: readonly ManifestFile[], serverId: string): IncarnationFile[] {
  const moved = files.filter(({ kind }) => ["disk", "swap", "config-drive", "nvram"].includes(kind));
  const tpm = files.some(({ kind }) => kind === "tpm")
    ? [{ id: "tpm", path: `${SWTPM_DIR}/${serverId}`, mode: "copied" as const }]
    : [];
  return [
    ...moved.map(({ id, path, mode }) => ({
      id,
      path,
      mode: fencedMode(mode),
    })),
    ...tpm,
  ];
}

function copiedDevices(peerHost: string, call: Call, world: World): readonly string[] {
  const proven = storageDocument(call, world);
  return proven?.peerHost === peerHost ? (proven.copiedDevices ?? []) : [];
}

/** Left out where there are none. */
export function fencedDevices(
  devices: SourceManifest["blockDevices"] | undefined,
  copied: readonly string[] = [],
): Pick<FenceOrder, "devices"> {
  if (devices === undefined || devices.length === 0) return {};
  return {
    devices: devices.map(device => {
      const id = activeLayerOf(device.targetDev);
      const { path } = device;
      if (!copied.includes(id)) return { id, path, identity: identityOf(device) };
      return { id, path, identity: lastingIdentityOf(device), isCopied: true };
    }),
  };
}

const fencedMode = (mode: string): IncarnationFile["mode"] =>
  mode === "re-created" || mode === "shared" ? mode : "copied";
