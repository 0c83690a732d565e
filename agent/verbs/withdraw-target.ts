/**
 * Makes the target's incarnation unable to run, whatever became of it, and states it: the mirror receipt (SAFETY R4).
 * Its disks are kept, set aside, until remove-target-files.
 *
 * An incarnation whose CPUs may have run is withdrawn only for a person's revert (R3).
 */

import { Fault } from "../../proto/fault.js";
import type { WithdrawTarget } from "../../proto/gen/ferry/v1/agent.js";
import { factsAt, isSameFile } from "../disk/file-identity.js";
import { withdraw } from "../fence/fence.js";
import type { IncarnationFile } from "../fence/fence-record.js";
import { readRanMark } from "../fence/ran-mark.js";
import { fencedDevices } from "./fence-incarnation.js";
import { isFreeFor } from "./guest-row.js";
import { incomingIdentity } from "./incoming-artifacts.js";
import { journalRanMark } from "./journal-ran-mark.js";
import { logFiles } from "./log-files.js";
import { isSameHost } from "./same-host.js";
import { signedReceipt } from "./signed-receipt.js";
import { fenceKey, sourceDocument } from "./source-document.js";
import { SWTPM_DIR } from "./state-dirs.js";
import { findTargetDocument, incarnationToWithdraw, type TargetDocument } from "./target-document.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const withdrawTarget: Verb<WithdrawTarget> = async ({ afterRun, peerHost }, call, world) => {
  const document = findTargetDocument(call, world);
  const incarnation = incarnationToWithdraw(call, world);
  world.documents.put(call.serverId, call.migrationId, "withdrawn", incarnation);
  if (!afterRun) await refuseIfRan(incarnation, call, world);
  const fenced = await withdraw(world.fence, {
    server: call.serverId,
    migration: call.migrationId,
    incarnation,
    epoch: call.epoch,
    peerHost,
    files:
      document === undefined
        ? []
        : [...(await receivedFiles(document, call, world)), ...(await targetLogs(document, call, world))],
    ...fencedDevices(document?.plan.blockDevices),
  });
  await fenced.hold[Symbol.asyncDispose]();
  world.atomically(() => {
    world.documents.remove(call.serverId, call.migrationId, "claim");
    world.bookings.drop(call.serverId, incarnation);
  });
  if (isFreeFor(call, world.guests.find(call.serverId)))
    world.guests.update(call.serverId, { role: "fenced", migrationId: call.migrationId });
  return result({ receipt: signedReceipt(fenced.statement, world) });
};

async function refuseIfRan(incarnation: string, call: Call, world: World): Promise<void> {
  await journalRanMark(call, world);
  const guest = world.guests.find(call.serverId);
  const mark = await readRanMark(world.config.state_dir, call.serverId);
  const hasRun =
    (guest?.incarnation === incarnation && guest.mayHaveRun) ||
    mark?.incarnation === incarnation ||
    (await runsNow(incarnation, call, world));
  if (!hasRun) return;
  throw new Fault("stuck", "the guest may have run on the target: what it wrote there would be lost", {
    fix: "look at the guest on the target and save what is needed, then accept the loss: ferry server revert",
  });
}

/** libvirt calls no hook when somebody resumes a guest that was created paused: only its state tells. */
async function runsNow(incarnation: string, { serverId }: Call, world: World): Promise<boolean> {
  const domain = await world.hypervisor.findDomain(serverId);
  if (domain === undefined || domain.state === "shut-off" || domain.state === "paused") return false;
  return world.fence.incarnationOf(await world.hypervisor.domainXml(serverId, "inactive")) === incarnation;
}

/** On the source's own host a log is the target's only once the source's, which had the same name, was set aside. */
async function targetLogs(document: TargetDocument, call: Call, world: World): Promise<IncarnationFile[]> {
  const logs = await logFiles(document.plan.domainXml, world);
  if (!isSameHost(document.sourceHost, world)) return logs;
  const source = await world.fence.journal.find(fenceKey(call, sourceDocument(call, world).incarnation));
  const isSourceLog = async ({ path }: IncarnationFile): Promise<boolean> => {
    const there = await factsAt(world.files, path);
    return there !== undefined && source?.files.some(({ identity }) => isSameFile(identity, there)) === true;
  };
  const own = source === undefined ? [] : logs;
  const areSources = await Promise.all(own.map(isSourceLog));
  return own.filter((_, index) => areSources[index] === false);
}

/** What this migration made, by identity; whatever else has one of the planned names is left alone. */
async function receivedFiles(
  { plan, manifest }: TargetDocument,
  call: Call,
  world: World,
): Promise<IncarnationFile[]> {
  const kindOf = (id: string) => manifest.files.find(file => file.id === id)?.kind;
  const own = plan.files.filter(
    ({ id, mode }) =>
      mode === "added" || ["disk", "swap", "config-drive", "nvram"].includes(kindOf(id) ?? ""),
  );
  const tpm = plan.files.some(({ id }) => kindOf(id) === "tpm")
    ? [{ id: "tpm", path: `${SWTPM_DIR}/${call.serverId}` }]
    : [];
  const made = [...own, ...tpm].map(async ({ id, path }) => {
    const identity = await incomingIdentity(path, call, world);
    return identity === undefined ? [] : [{ id, path, mode: "copied" as const, identity }];
  });
  return (await Promise.all(made)).flat();
}
