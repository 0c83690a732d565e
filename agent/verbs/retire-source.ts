/**
 * retire-source, at confirm: the fenced disks and the saved state are removed, by identity. Backing files stay,
 * because others may use them (SAFETY R10); the record that denies the incarnation stays too.
 */

import type { RetireSource } from "../../proto/gen/ferry/v1/agent.js";
import { retire } from "../fence/retire.js";
import { removeEmptyFolders } from "./remove-folders.js";
import { fenceKey, finalDocument, sourceDocument, storageDocument } from "./source-document.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const retireSource: Verb<RetireSource> = async (_request, call, world) => {
  const { incarnation } = sourceDocument(call, world);
  const { missing } = await retire(world.fence, fenceKey(call, incarnation));
  world.bookings.drop(call.serverId, incarnation);
  for (const id of missing) call.note(`${id} was gone from the source already`);
  await noteKeptDevices(incarnation, call, world);
  const isGone = world.guests.find(call.serverId)?.incarnation === incarnation;
  if (isGone) noteKeptBacking(call, world);
  await forgetCreated(call, world);
  // Resized on its own host, the server is here as the target's incarnation by now.
  if (isGone)
    world.guests.update(call.serverId, {
      role: "retired",
      migrationId: "",
      incarnation: "",
      mayHaveRun: false,
      disks: [],
    });
  return result();
};

function noteKeptBacking(call: Call, world: World): void {
  const files = finalDocument(call, world)?.manifest.files ?? [];
  for (const { path } of files.filter(({ kind }) => kind === "backing"))
    call.note(`kept on the source: backing file ${path}`);
}

/** What a migration did not make it does not remove: whoever made the device does. */
async function noteKeptDevices(incarnation: string, call: Call, world: World): Promise<void> {
  const record = await world.fence.journal.find(fenceKey(call, incarnation));
  for (const { id, path } of record?.devices?.filter(({ isCopied }) => isCopied === true) ?? [])
    call.note(`kept on the source: ${path} on ${world.config.host} still holds ${id} as it was`);
}

/** Files that Ferry made for the server are removed with it, or are in the target's care; their rows and empty folders go. */
async function forgetCreated(call: Call, world: World): Promise<void> {
  const shared = new Set(storageDocument(call, world)?.shared);
  const files = finalDocument(call, world)?.manifest.files ?? [];
  const isShared = (path: string) => files.some(file => file.path === path && shared.has(file.id));
  for (const artifact of world.artifacts.of(call.serverId, "")) {
    if (isShared(artifact.path) || !(await world.exists(artifact.path)))
      world.artifacts.forget(call.serverId, "", artifact.path);
  }
  await removeEmptyFolders(call.serverId, "", world);
}
