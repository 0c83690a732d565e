/**
 * prove-storage, at the source: the other half of the proof that a folder is the same one on both hosts. What is found is
 * journalled, and the fence goes by it alone (SAFETY R1): a shared disk is never moved aside, a copied one always is.
 */

import { dirname } from "node:path";
import { Fault } from "../../proto/fault.js";
import type {
  DiskDevice,
  PlannedFile,
  ProveStorage,
  StorageFolder,
  TargetPlan,
} from "../../proto/gen/ferry/v1/agent.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { refusal } from "../claim/refusal.js";
import { activeLayerOf } from "../disk/active-layer.js";
import { type StorageDocument, sourceDocument } from "./source-document.js";
import { isNonceSeen } from "./storage-proof.js";
import { isSameDisk } from "./target-block-devices.js";
import { result, type Verb, type World } from "./verb.js";

export const proveStorage: Verb<ProveStorage> = async ({ plan, targetHost }, call, world) => {
  if (plan === undefined) throw new Fault("invalid-argument", "prove-storage needs the target's plan");
  const { manifest, blockDisks = "refuse" } = sourceDocument(call, world);
  const shared = plan.files.filter(({ mode }) => mode === "shared");
  for (const { id, path } of shared) {
    if (manifest.files.some(file => file.id === id && file.path === path)) continue;
    throw new Fault("invalid-argument", `${id} at ${path} is no file of this migration`);
  }
  const seen = await foldersSeen(plan.folders, world);
  const copied = blockDisks === "copy" ? manifest.blockDevices.filter(device => isCopied(device, plan)) : [];
  const copiedDevices = copied.map(({ targetDev }) => activeLayerOf(targetDev));
  const refusals = [
    ...unseen(shared, seen),
    ...seenApart(
      plan.files.filter(({ id }) => !copiedDevices.includes(id)),
      seen,
    ),
    ...unprovenDevices(
      manifest.blockDevices.filter(device => !copied.includes(device)),
      plan.blockDevices,
    ),
  ];
  if (refusals.length > 0) return result({ refusals });
  const document: StorageDocument = {
    peerHost: targetHost,
    shared: shared.map(({ id }) => id),
    copiedDevices,
  };
  world.documents.put(call.serverId, call.migrationId, "storage", document);
  return result();
};

/** The target makes a file of it. */
const isCopied = (device: DiskDevice, { files }: TargetPlan): boolean =>
  files.some(({ id, mode }) => id === activeLayerOf(device.targetDev) && mode === "copied");

async function foldersSeen(folders: readonly StorageFolder[], world: World): Promise<Set<string>> {
  const seen = new Set<string>();
  for (const folder of folders) if (await isNonceSeen(folder, world)) seen.add(folder.path);
  return seen;
}

const unseen = (shared: readonly PlannedFile[], seen: ReadonlySet<string>): FaultInfo[] =>
  shared
    .filter(({ path }) => !seen.has(dirname(path)))
    .map(({ id, path }) =>
      refusal(
        "refused",
        `${id}: the target sees ${dirname(path)} of the source, and not the other way round`,
        {
          have: "what the target has written there is not seen on the source",
          need: "the same folder, writable on both hosts",
          fix: "see how it is mounted on both hosts, then migrate again",
        },
      ),
    );

/** The target has looked in vain for what this host has written, and yet this host sees what the target has. */
const seenApart = (files: readonly PlannedFile[], seen: ReadonlySet<string>): FaultInfo[] =>
  files
    .filter(({ mode, path }) => (mode === "copied" || mode === "re-created") && seen.has(dirname(path)))
    .map(({ id, path }) =>
      refusal(
        "refused",
        `${id}: ${dirname(path)} is the same folder on both hosts, but the target did not see it so`,
        {
          need: "storage that is certainly shared or certainly not",
          fix: "see how it is mounted on both hosts, then migrate again",
        },
      ),
    );

/** Both sides have read what the device is; this one compares it with its own word, not with what the target was told. */
const unprovenDevices = (own: readonly DiskDevice[], theirs: readonly DiskDevice[]): FaultInfo[] =>
  own
    .filter(
      device => !theirs.some(other => other.targetDev === device.targetDev && isSameDisk(device, other)),
    )
    .map(({ targetDev, path }) =>
      refusal("refused", `disk ${targetDev}: the target did not prove that it has ${path} as well`, {
        fix: "migrate again",
      }),
    );
