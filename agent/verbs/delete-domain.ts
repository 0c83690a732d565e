/**
 * delete-domain: the server ends. Denied first, then stopped and undefined, then the files that Ferry made for it are
 * removed by identity; disks of an adopted server were not made by Ferry and stay, and that is told.
 */

import { basename, dirname } from "node:path";
import { Fault } from "../../proto/fault.js";
import type { DeleteDomain } from "../../proto/gen/ferry/v1/agent.js";
import { factsAt, removeByIdentity } from "../disk/file-identity.js";
import type { Guest } from "../journal/guests.js";
import { removeEmptyFolders } from "./remove-folders.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const deleteDomain: Verb<DeleteDomain> = async (_request, call, world) => {
  const guest = world.guests.find(call.serverId);
  if (guest === undefined || guest.role === "retired") return result();
  if (guest.role !== "active" && guest.role !== "none") {
    throw new Fault(
      "conflict",
      `server ${call.serverId} is ${guest.role} on this host: its migration must end first`,
    );
  }
  await world.fence.guestFiles.deny(call.serverId, "this server is being deleted");
  await endDomain(call, world);
  for (const artifact of world.artifacts.of(call.serverId, "")) {
    if (artifact.identity === undefined || (await world.isFolder(artifact.path))) continue;
    await removeByIdentity(world.files, dirname(artifact.path), artifact.identity, basename(artifact.path));
    world.artifacts.forget(call.serverId, "", artifact.path);
  }
  await removeConsoleLog(call, world);
  await removeEmptyFolders(call.serverId, "", world);
  await noteKept(guest, call, world);
  await world.fence.guestFiles.forget(call.serverId);
  world.guests.update(call.serverId, {
    role: "none",
    incarnation: "",
    migrationId: "",
    mayHaveRun: false,
    disks: [],
  });
  return result();
};

async function endDomain(call: Call, { hypervisor }: World): Promise<void> {
  const domain = await hypervisor.findDomain(call.serverId);
  if (domain === undefined) return;
  if (domain.state !== "shut-off") await hypervisor.destroy(call.serverId, { graceful: false });
  await hypervisor.undefine(call.serverId);
}

/** QEMU makes it, in a folder that Ferry made for nothing else. */
async function removeConsoleLog(call: Call, world: World): Promise<void> {
  for (const { path } of world.artifacts.of(call.serverId, "")) {
    if (!(await world.isFolder(path))) continue;
    const identity = await factsAt(world.files, `${path}/console.log`);
    if (identity !== undefined) await removeByIdentity(world.files, path, identity, "console.log");
  }
}

async function noteKept({ disks }: Guest, call: Call, world: World): Promise<void> {
  for (const { path } of disks)
    if (path !== "" && (await world.exists(path))) call.note(`kept, because Ferry did not make it: ${path}`);
}
