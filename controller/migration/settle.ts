/**
 * Closes the record of a migration that its hosts have ended long ago, which a restored store cannot know: their tombstones
 * say how, and refuse everything else (SAFETY R13). No host is asked for anything.
 */

import { finishMove, undoMove } from "../placement/placement.js";
import type { SagaState } from "../saga/fold.js";
import type { Write } from "../saga/step.js";
import { updateMigration } from "../store/migrations.js";
import { findServerById, updateServer } from "../store/servers.js";
import { requestOf } from "./migration-kind.js";

const STATUS: Readonly<Record<string, string>> = {
  confirmed: "confirmed",
  reverted: "reverted",
  unwound: "error",
};

export async function settle(
  state: SagaState,
  targetHost: string,
  outcome: string,
  write: Write,
): Promise<void> {
  const { queries, sagaId, nowMs } = write;
  const { serverId, sourceHost, oldFlavor, flavor, disks } = requestOf(state.known);
  const isConfirmed = outcome === "confirmed";
  if (isConfirmed) await finishMove(queries, sagaId);
  else await undoMove(queries, serverId, sagaId);
  const place = isConfirmed ? { host: targetHost, flavor } : { host: sourceHost, flavor: oldFlavor, disks };
  const server = await findServerById(queries, serverId);
  // Heartbeats say from now on whether it runs.
  const vmState = server?.powerState === "RUNNING" ? "active" : "stopped";
  await updateServer(queries, serverId, { ...place, vmState, taskState: "", migrationId: "" }, nowMs);
  await updateMigration(queries, sagaId, { status: STATUS[outcome] ?? "error", open: false }, nowMs);
}
