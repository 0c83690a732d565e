/**
 * remove-target-files: what a migration made on its target goes, by identity; last of all and only after the
 * incarnation was withdrawn. Anything else in the place of a file of ours stays and is told.
 */

import { readdir, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { RemoveTargetFiles } from "../../proto/gen/ferry/v1/agent.js";
import { isSameFile, removeByIdentity } from "../disk/file-identity.js";
import { flushIfThere } from "../fence/durable-file.js";
import { retire } from "../fence/retire.js";
import { factsAt } from "../fence/set-aside.js";
import type { Artifact } from "../journal/artifacts.js";
import { incomingIdentity } from "./incoming-artifacts.js";
import { removeEmptyFolders } from "./remove-folders.js";
import { fenceKey } from "./source-document.js";
import { findTargetDocument, incarnationToWithdraw } from "./target-document.js";
import { type Call, result, type Verb, type World } from "./verb.js";
import { whoNeeds } from "./who-needs.js";

export const removeTargetFiles: Verb<RemoveTargetFiles> = async (_request, call, world) => {
  const document = findTargetDocument(call, world);
  await retire(world.fence, fenceKey(call, incarnationToWithdraw(call, world)));
  const backing = new Set(
    document?.manifest.files.filter(({ kind }) => kind === "backing").map(({ id }) => id),
  );
  const shared = new Set(document?.plan.files.filter(({ id }) => backing.has(id)).map(({ path }) => path));
  for (const artifact of world.artifacts.of(call.serverId, call.migrationId)) {
    // Before the parts go, and with them the transfer's journal, which may be what knows it.
    const identity = await incomingIdentity(artifact.path, call, world);
    await removePartsOf(artifact, call);
    if (shared.has(artifact.path) && (await isNeeded(artifact.path, call, world))) continue;
    await removeArtifact({ ...artifact, identity }, call, world);
  }
  await removeEmptyFolders(call.serverId, call.migrationId, world);
  const guest = world.guests.find(call.serverId);
  // On the source's own host the server is active again by now.
  if (guest?.migrationId === call.migrationId && guest.role !== "active") {
    const nothing = { role: "none", migrationId: "", incarnation: "", mayHaveRun: false, disks: [] } as const;
    world.guests.update(call.serverId, nothing);
  }
  return result();
};

async function isNeeded(path: string, call: Call, world: World): Promise<boolean> {
  const need = await whoNeeds(path, call, world);
  if (need === undefined) return false;
  call.note(`kept on the target: backing file ${path} (${need})`);
  return true;
}

/** Names that hold this migration's id are nobody else's. */
async function removePartsOf({ path }: Artifact, { migrationId }: Call): Promise<void> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.part-${migrationId}`;
  const parts = (await readdir(folder).catch(() => [])).filter(name => name.startsWith(prefix));
  for (const name of parts) await rm(`${folder}/${name}`, { force: true });
  await flushIfThere(folder);
}

/** The disks themselves went with the withdrawn incarnation; this is what never got that far. Folders come later. */
async function removeArtifact(
  { path, identity, serverId, migrationId }: Artifact,
  call: Call,
  world: World,
): Promise<void> {
  if (await world.isFolder(path)) return;
  const there = await factsAt(world.files, path);
  if (there !== undefined && (identity === undefined || !isSameFile(there, identity)))
    call.note(`kept on the target, because this migration did not make it: ${path}`);
  else if (identity !== undefined)
    await removeByIdentity(world.files, dirname(path), identity, basename(path));
  world.artifacts.forget(serverId, migrationId, path);
}
