/**
 * The scheduler's best host and its alternates. Allocations move with the journal's line: what the server holds goes
 * to the migration, the target is booked for the server.
 */

import { Fault } from "../../../proto/fault.js";
import type { Host } from "../../../proto/gen/ferry/v1/model.js";
import { beginMove, undoMove } from "../../placement/placement.js";
import { resourcesOf } from "../../placement/resources.js";
import { nothingToUndo, type Reversible, type Write } from "../../saga/step.js";
import { chosenHosts, schedule } from "../../scheduler/schedule.js";
import { appendEvent } from "../../store/events.js";
import { updateMigration } from "../../store/migrations.js";
import type { MigrationWorld } from "../migration-world.js";
import type { MigrationRequest } from "../request.js";
import { scheduleRequestOf } from "../schedule-request.js";

/** Best first, at most as many as may be tried. */
export interface SelectedTargets {
  readonly candidates: readonly string[];
}

export const selectTarget: Reversible<MigrationWorld, MigrationRequest, SelectedTargets> = {
  name: "select-target",
  limitMs: 20_000,

  begun: (_request, { queries, sagaId, nowMs }) =>
    updateMigration(queries, sagaId, { status: "pre-migrating" }, nowMs),

  async run(request, world) {
    const asked = scheduleRequestOf(request);
    const known = await world.hosts();
    requireHeard(known);
    const hosts = chosenHosts(schedule(known, asked), asked);
    return { candidates: hosts.slice(0, request.maxAttempts) };
  },

  async done(known, write) {
    await bookFirst(known, known.candidates, write);
  },

  undo: nothingToUndo,
  undone: ({ serverId }, { queries, sagaId }) => undoMove(queries, serverId, sagaId),
};

/** A controller that has just started has heard of nobody yet, which is not a no: after three heartbeats a host is down. */
function requireHeard(hosts: readonly Host[]): void {
  const unheard = hosts.filter(({ state, status }) => state === "unknown" && status === "enabled");
  if (unheard.length === 0) return;
  const names = unheard.map(({ name }) => name).join(", ");
  throw new Fault("unreachable", `not heard of since the controller started: ${names}`);
}

/** Somebody may have booked the best host since it was chosen: the next one does as well. */
export async function bookFirst(
  { serverId, flavor }: MigrationRequest,
  candidates: readonly string[],
  { queries, sagaId, nowMs }: Write,
): Promise<string> {
  let refusal = new Fault("no-valid-host", "No valid host was found.");
  for (const target of candidates) {
    try {
      await beginMove(queries, { serverId, migrationId: sagaId, target, needed: resourcesOf(flavor) });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      refusal = error;
      continue;
    }
    await updateMigration(queries, sagaId, { targetHost: target, targetAsked: false }, nowMs);
    await appendEvent(queries, sagaId, `target ${target}`, nowMs);
    return target;
  }
  throw refusal;
}
