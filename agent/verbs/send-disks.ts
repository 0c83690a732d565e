/** send-disks: the source's side of the copy. Fenced files are read where they were set aside. */

import { join } from "node:path";
import { Fault } from "../../proto/fault.js";
import type { SendDisks } from "../../proto/gen/ferry/v1/agent.js";
import { sendFiles } from "../transfer/source.js";
import { dialTls } from "./dial-tls.js";
import { fenceKey, finalDocument, sourceDocument } from "./fence-incarnation.js";
import { progressOf } from "./transfer-progress.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const sendDisks: Verb<SendDisks> = async ({ plan, targetHost }, call, world) => {
  if (plan === undefined) throw new Fault("invalid-argument", "send-disks needs the target's plan");
  const placeOf = await fencedPlaces(call, world);
  const files = plan.files
    .filter(({ mode }) => mode === "copied")
    .map(({ id }) => ({ id, path: placeOf(id) }));
  await sendFiles(
    { files: world.files, clock: { nowMs: world.now }, log: world.log },
    {
      address: plan.dataAddress,
      port: plan.dataPort,
      expectHost: targetHost,
      tls: dialTls(world),
      migrationId: call.migrationId,
      serverId: call.serverId,
      epoch: call.epoch,
      token: plan.token,
      files,
      signal: call.signal,
      onProgress: progress => call.progress(progressOf(progress)),
    },
  );
  return result();
};

/** Id of a file → where it lies now. Only what was fenced, or is a backing file, is ever sent. */
async function fencedPlaces(call: Call, world: World): Promise<(id: string) => string> {
  const { incarnation } = sourceDocument(call, world);
  const record = await world.fence.journal.find(fenceKey(call, incarnation));
  const manifest = finalDocument(call, world)?.manifest;
  if (record?.state !== "fenced" || manifest === undefined) {
    throw new Fault("refused", "the source is not fenced: its disks may still change");
  }
  const aside = new Map(record.files.map(file => [file.id, file.asidePath]));
  return id => {
    const tpm = aside.get("tpm");
    if (id.startsWith("tpm/") && tpm !== undefined) return join(tpm, id.slice("tpm/".length));
    const path =
      aside.get(id) ??
      manifest.files.find(file => file.id === id && (file.kind === "backing" || file.kind === "media"))?.path;
    if (path === undefined) throw new Fault("invalid-argument", `${id} is no file of this migration`);
    return path;
  };
}
