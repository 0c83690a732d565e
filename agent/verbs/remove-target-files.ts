/**
 * remove-target-files: what a migration made on its target goes, by identity; last of all and only after the
 * incarnation was withdrawn. Anything else in the place of a file of ours stays and is told.
 */

import { readdir, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { RemoveTargetFiles } from "../../proto/gen/ferry/v1/agent.js";
import { findBackingReferences } from "../disk/backing-references.js";
import { removeByIdentity } from "../disk/file-identity.js";
import { formatIncarnation } from "../domain/ferry-metadata.js";
import { retire } from "../fence/retire.js";
import type { Artifact } from "../journal/artifacts.js";
import { fenceKey } from "./fence-incarnation.js";
import { targetIncarnation } from "./prepare-target.js";
import { removeEmptyFolders } from "./remove-folders.js";
import { findTargetDocument } from "./target-document.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const removeTargetFiles: Verb<RemoveTargetFiles> = async (_request, call, world) => {
  const document = findTargetDocument(call, world);
  const incarnation = document?.plan.incarnation ?? formatIncarnation(targetIncarnation(call));
  await retire(world.fence, fenceKey(call, incarnation));
  const backing = new Set(
    document?.manifest.files.filter(({ kind }) => kind === "backing").map(({ id }) => id),
  );
  const shared = new Set(document?.plan.files.filter(({ id }) => backing.has(id)).map(({ path }) => path));
  for (const artifact of world.artifacts.of(call.serverId, call.migrationId)) {
    await removePartsOf(artifact, call);
    if (shared.has(artifact.path) && (await isNeeded(artifact.path, call, world))) continue;
    await removeArtifact(artifact, world);
  }
  await removeEmptyFolders(call.serverId, call.migrationId, world);
  world.guests.update(call.serverId, {
    role: "none",
    migrationId: "",
    incarnation: "",
    mayHaveRun: false,
    disks: [],
  });
  return result();
};

/** A backing file that came with this migration may have found other users since (SAFETY R10); any doubt keeps it. */
async function isNeeded(path: string, call: Call, world: World): Promise<boolean> {
  const summaries = await world.hypervisor.listDomains();
  const domains = await Promise.all(
    summaries.map(async ({ uuid }) => ({ uuid, xml: await world.hypervisor.domainXml(uuid, "inactive") })),
  );
  const { found, unknown } = await findBackingReferences(world.files, world.places, domains, path);
  if (found.length === 0 && unknown.length === 0) return false;
  const why = found[0] ?? `${unknown[0]?.what}: ${unknown[0]?.reason}`;
  call.note(`kept on the target: backing file ${path} (${why})`);
  return true;
}

/** Names that hold this migration's id are nobody else's. */
async function removePartsOf({ path }: Artifact, { migrationId }: Call): Promise<void> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.part-${migrationId}`;
  const names = await readdir(folder).catch(() => []);
  await Promise.all(
    names.filter(name => name.startsWith(prefix)).map(name => rm(`${folder}/${name}`, { force: true })),
  );
}

/** The disks themselves went with the withdrawn incarnation; this is what never got that far. Folders come later. */
async function removeArtifact(
  { path, identity, serverId, migrationId }: Artifact,
  world: World,
): Promise<void> {
  if (await world.isFolder(path)) return;
  if (identity === undefined) {
    if (!(await world.exists(path))) world.artifacts.forget(serverId, migrationId, path);
    return;
  }
  await removeByIdentity(world.files, dirname(path), identity, basename(path));
  world.artifacts.forget(serverId, migrationId, path);
}
