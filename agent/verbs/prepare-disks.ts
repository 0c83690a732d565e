/**
 * prepare-disks: what was not copied is made here. Swap disks get the size, label and uuid that they had (SAFETY R8)
 * and a line of their own in the receipt (R11).
 *
 * A swap disk has its name only once it is whole and recorded; what an interrupted attempt left is made again.
 */

import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault } from "../../proto/fault.js";
import type {
  CopyReceipt,
  ManifestFile,
  PlannedFile,
  PrepareDisks,
  SwapHeader,
} from "../../proto/gen/ferry/v1/agent.js";
import type { CopiedFile } from "../../proto/gen/ferry/v1/model.js";
import { factsAt, isSameFile } from "../disk/file-identity.js";
import { createSwapDisk, SWAP_PAGE_BYTES } from "../disk/swap.js";
import { incomingIdentity, makeFolder, recordIncoming } from "./incoming-artifacts.js";
import { targetDocument } from "./target-document.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const prepareDisks: Verb<PrepareDisks> = async (request, call, world) => {
  const { plan, manifest } = await targetDocument(call, world);
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
  world.documents.put(call.serverId, call.migrationId, "made", copy);
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
  await makeSwap(planned.path, header, call, world);
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

/** Made under a name that is nobody else's and recorded, then given its own: what has that already is never touched. */
async function makeSwap(path: string, header: SwapHeader, call: Call, world: World): Promise<void> {
  const [made, there] = [await incomingIdentity(path, call, world), await factsAt(world.files, path)];
  if (made !== undefined && there !== undefined && isSameFile(made, there)) return;
  await makeFolder(dirname(path), call, world);
  recordIncoming(path, undefined, call, world);
  const partPath = `${path}.part-${call.migrationId}`;
  await rm(partPath, { force: true });
  await createSwapDisk(partPath, header.sizeBytes, swapSpace(header));
  recordIncoming(path, await factsAt(world.files, partPath), call, world);
  await world.files.renameNoReplace(partPath, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
    throw new Fault("already-exists", `${path} exists and was not made by this migration`, {
      fix: "move it away; Ferry never overwrites a file",
    });
  });
}
