/**
 * delete-domain: the server ends. Denied first, then stopped and undefined, then the files that Ferry made for it are
 * removed by identity; disks of an adopted server were not made by Ferry and stay, and that is told.
 */

import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Fault } from "../../proto/fault.js";
import type { DeleteDomain } from "../../proto/gen/ferry/v1/agent.js";
import { factsAt, removeByIdentity } from "../disk/file-identity.js";
import { nvramPathOf, readDomain } from "../domain/domain-xml.js";
import type { Artifact } from "../journal/artifacts.js";
import type { Guest } from "../journal/guests.js";
import { removeEmptyFolders } from "./remove-folders.js";
import { NVRAM_DIR, SWTPM_DIR } from "./state-dirs.js";
import { type Call, result, type Verb, type World } from "./verb.js";
import { whoNeeds } from "./who-needs.js";

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
  await recordFirmwareState(call, world);
  await endDomain(guest, call, world);
  world.bookings.dropServer(call.serverId);
  await removeFiles(guest, call, world);
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

/**
 * libvirt makes UEFI variables and TPM state at a server's first start and keeps them when it is undefined. Those of a
 * server that Ferry made go with it: the next server of its name must not find them.
 */
async function recordFirmwareState(call: Call, world: World): Promise<void> {
  const { serverId } = call;
  const isMadeByFerry = world.artifacts.of(serverId, "").length > 0;
  if (!isMadeByFerry || (await world.hypervisor.findDomain(serverId)) === undefined) return;
  const domain = readDomain(await world.hypervisor.domainXml(serverId, "inactive"));
  const nvram = nvramPathOf(domain, NVRAM_DIR);
  const tpm = domain.tpmBackend === "emulator" ? await everythingIn(join(SWTPM_DIR, serverId)) : [];
  for (const path of [...(nvram === undefined ? [] : [nvram]), ...tpm]) {
    const identity = await factsAt(world.files, path);
    if (identity === undefined) continue;
    world.artifacts.record({ serverId, migrationId: "", path, kind: "created", identity });
  }
}

/** The folder and all that is below it. */
async function everythingIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [];
  return [folder, ...entries.map(entry => join(entry.parentPath, entry.name))];
}

async function endDomain({ role }: Guest, call: Call, { hypervisor, fence }: World): Promise<void> {
  const domain = await hypervisor.findDomain(call.serverId);
  if (domain === undefined) return;
  const marked = fence.incarnationOf(await hypervisor.domainXml(call.serverId, "inactive"));
  if (role === "none" && marked === undefined) {
    throw new Fault("conflict", `${domain.name} has the server's uuid but is not Ferry's: it was left alone`);
  }
  if (domain.state !== "shut-off") await hypervisor.destroy(call.serverId, { graceful: false });
  await hypervisor.undefine(call.serverId);
}

/**
 * From the top of each chain down, so that a base is looked at once its own overlay is gone. Whatever lies below an
 * active layer may have found other users since it came here, and then is theirs (SAFETY R10).
 */
async function removeFiles({ disks }: Guest, call: Call, world: World): Promise<void> {
  const backing = disks.flatMap(disk => disk.backing.map(({ path }) => path));
  const rankOf = ({ path }: Artifact) => backing.indexOf(path);
  const topFirst = world.artifacts.of(call.serverId, "").sort((one, other) => rankOf(one) - rankOf(other));
  for (const { path, identity } of topFirst) {
    if (identity === undefined || (await world.isFolder(path))) continue;
    const need = backing.includes(path) ? await whoNeeds(path, call, world) : undefined;
    if (need === undefined) await removeByIdentity(world.files, dirname(path), identity, basename(path));
    else call.note(`kept: backing file ${path} (${need})`);
    world.artifacts.forget(call.serverId, "", path);
  }
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
