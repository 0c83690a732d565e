/**
 * The end of a migration on this host: a tombstone refuses whatever comes late (SAFETY R13). On the host that keeps
 * the server its received files become the server's own.
 */

import { Fault } from "../../proto/fault.js";
import type { CloseMigration } from "../../proto/gen/ferry/v1/agent.js";
import { factsAt } from "../disk/file-identity.js";
import { journalRanMark } from "./journal-ran-mark.js";
import { fenceKey, type SourceDocument } from "./source-document.js";
import { NONCES, removeNonces } from "./storage-proof.js";
import { incarnationToWithdraw, type TargetDocument } from "./target-document.js";
import { type Call, result, type Verb, type World } from "./verb.js";

const KINDS = [
  "source",
  "final",
  "target",
  "claim",
  "copy",
  "made",
  "stopped",
  "withdrawn",
  "fence-receipt",
  "storage",
  NONCES,
];

export const closeMigration: Verb<CloseMigration> = async ({ outcome }, call, world) => {
  await refuseHeld(call, world);
  const guest = world.guests.find(call.serverId);
  if (guest?.role === "active" && guest.migrationId === call.migrationId) {
    world.artifacts.adopt(call.serverId, call.migrationId);
    await takeOverShared(call, world);
    world.guests.update(call.serverId, { migrationId: "" });
    await journalRanMark(call, world);
  }
  dropBookings(call, world);
  await removeNonces(call, world);
  for (const kind of KINDS) world.documents.remove(call.serverId, call.migrationId, kind);
  world.bandwidth.forget(call.migrationId);
  world.documents.closeMigration(call.migrationId, outcome);
  return result();
};

/** Of incarnations of this migration that are not the one that stays; each of them has been withdrawn. */
function dropBookings({ serverId, migrationId }: Call, { bookings, guests }: World): void {
  const guest = guests.find(serverId);
  const kept = guest?.role === "active" ? guest.incarnation : undefined;
  for (const booking of bookings.list())
    if (booking.serverId === serverId && booking.migrationId === migrationId && booking.incarnation !== kept)
      bookings.drop(serverId, booking.incarnation);
}

/** What both hosts have stays where it is; that Ferry made it, and may remove it with the server, is known here from now on. */
async function takeOverShared({ serverId, migrationId }: Call, world: World): Promise<void> {
  const target = world.documents.get<TargetDocument>(serverId, migrationId, "target");
  const made = new Set(target?.manifest.files.filter(file => file.madeByFerry).map(({ id }) => id));
  const shared = target?.plan.files.filter(({ id, mode }) => mode === "shared" && made.has(id)) ?? [];
  for (const { path } of shared) {
    const identity = await factsAt(world.files, path);
    if (identity !== undefined)
      world.artifacts.record({ serverId, migrationId: "", path, kind: "created", identity });
  }
}

/** Behind a tombstone nothing could be given back any more: what is still set aside here keeps the migration open. */
async function refuseHeld(call: Call, world: World): Promise<void> {
  const source = world.documents.get<SourceDocument>(call.serverId, call.migrationId, "source");
  const incarnations = [incarnationToWithdraw(call, world), ...(source ? [source.incarnation] : [])];
  for (const incarnation of incarnations) {
    const record = await world.fence.journal.find(fenceKey(call, incarnation));
    if (record === undefined || record.state === "retired" || record.state === "active") continue;
    throw new Fault(
      "conflict",
      `close ${call.migrationId}: ${incarnation} is still ${record.state} on this host`,
    );
  }
}
