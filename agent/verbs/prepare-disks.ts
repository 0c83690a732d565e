/**
 * prepare-disks: what was not copied is made here. Swap disks get the size, label and uuid that they had (SAFETY R8)
 * and a line of their own in the receipt (R11).
 *
 * A swap disk is written whole or not at all, so one left by an interrupted attempt is removed by identity and made
 * again.
 */

import { basename, dirname } from "node:path";
import { Fault } from "../../proto/fault.js";
import type {
  CopyReceipt,
  ManifestFile,
  PlannedFile,
  PrepareDisks,
  SwapHeader,
} from "../../proto/gen/ferry/v1/agent.js";
import type { CopiedFile } from "../../proto/gen/ferry/v1/model.js";
import { factsAt, removeByIdentity } from "../disk/file-identity.js";
import { createSwapDisk, SWAP_PAGE_BYTES } from "../disk/swap.js";
import { makeFolder, recordIncoming } from "./incoming-artifacts.js";
import { targetDocument } from "./target-document.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const prepareDisks: Verb<PrepareDisks> = async (request, call, world) => {
  const { plan, manifest } = targetDocument(call, world);
  const described = request.files.length > 0 ? request.files : manifest.files;
  const recreated: CopiedFile[] = [];
  for (const planned of plan.files.filter(({ mode }) => mode === "re-created")) {
    const file = described.find(({ id }) => id === planned.id);
    recreated.push(await recreateSwap(planned, file, call, world));
  }
  const now = world.now();
  const copy: CopyReceipt = {
    algorithm: "none",
    leafBytes: 0,
    files: recreated,
    wireBytes: 0,
    startedAtMs: now,
    finishedAtMs: now,
    resumedBytes: 0,
  };
  return result({ copy });
};

async function recreateSwap(
  planned: PlannedFile,
  file: ManifestFile | undefined,
  call: Call,
  world: World,
): Promise<CopiedFile> {
  const header = file?.swap;
  if (header === undefined)
    throw new Fault("invalid-argument", `${planned.id} is to be re-created but is no swap`);
  await removeEarlierAttempt(planned.path, call, world);
  await makeFolder(dirname(planned.path), call, world);
  recordIncoming(planned.path, undefined, call, world);
  await createSwapDisk(planned.path, header.sizeBytes, swapSpace(header));
  const facts = await factsAt(world.files, planned.path);
  recordIncoming(planned.path, facts, call, world);
  return {
    id: planned.id,
    path: planned.path,
    mode: "re-created",
    sizeBytes: header.sizeBytes,
    dataBytes: SWAP_PAGE_BYTES,
    algorithm: "",
    digest: `swap uuid ${header.uuid}${header.label === "" ? "" : ` label ${header.label}`}`,
    readBack: "",
  };
}

const swapSpace = (header: SwapHeader) => ({
  lastPage: Math.floor(header.sizeBytes / SWAP_PAGE_BYTES) - 1,
  uuid: header.uuid,
  label: header.label,
  byteOrder: header.bigEndian ? ("big" as const) : ("little" as const),
});

async function removeEarlierAttempt(path: string, call: Call, world: World): Promise<void> {
  const earlier = world.artifacts
    .of(call.serverId, call.migrationId)
    .find(artifact => artifact.path === path);
  if (earlier === undefined) return;
  const identity = earlier.identity ?? (await factsAt(world.files, path));
  if (identity !== undefined) await removeByIdentity(world.files, dirname(path), identity, basename(path));
}
