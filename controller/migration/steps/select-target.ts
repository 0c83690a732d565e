/**
 * The scheduler's best host and its alternates. Allocations move with the journal's line: what the server holds goes
 * to the migration, the target is booked for the server.
 */

import { Fault } from "../../../proto/fault.js";
import { beginMove, undoMove } from "../../placement/placement.js";
import { resourcesOf } from "../../placement/resources.js";
import { nothingToUndo, type Reversible, type Write } from "../../saga/step.js";
import { refuseGroupBreach } from "../../scheduler/group-claim.js";
import { appendEvent } from "../../store/events.js";
import { updateMigration } from "../../store/migrations.js";
import { findServerById } from "../../store/servers.js";
import { changeTurn } from "../../store/turns.js";
import type { MigrationWorld } from "../migration-world.js";
import type { MigrationRequest } from "../request.js";

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
    return { candidates: await world.selectHosts(request, request.maxAttempts) };
  },

  async done(known, write) {
    await bookFirst(known, known.candidates, write);
  },

  undo: nothingToUndo,
  undone: ({ serverId }, { queries, sagaId }) => undoMove(queries, serverId, sagaId),
};

/** What a host said against taking a server, or was said for it. */
export interface Said {
  readonly host: string;
  readonly message: string;
}

/** Every host that was chosen has been taken since. */
export class NoneBooked extends Fault {
  readonly said: readonly Said[];

  constructor(said: readonly Said[], last: Fault) {
    super(last.code, said.length === 1 ? last.message : noValidHost(said), last.detail, { cause: last });
    this.said = said;
  }
}

export const noValidHost = (said: readonly Said[]): string =>
  `No valid host was found. ${said.map(({ host, message }) => `${host}: ${message}`).join("; ")}`;

/** Somebody may have booked the best host since it was chosen: the next one does as well. */
export async function bookFirst(
  { serverId, flavor }: MigrationRequest,
  candidates: readonly string[],
  { queries, sagaId, nowMs }: Write,
): Promise<string> {
  const said: Said[] = [];
  let last = new Fault("no-valid-host", "No valid host was found.");
  const server = await findServerById(queries, serverId);
  for (const target of candidates) {
    try {
      if (server !== undefined) await refuseGroupBreach(queries, server, target);
      await beginMove(queries, { serverId, migrationId: sagaId, target, needed: resourcesOf(flavor) });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      last = error;
      said.push({ host: target, message: error.message });
      continue;
    }
    await updateMigration(queries, sagaId, { targetHost: target, targetAsked: false }, nowMs);
    await changeTurn(queries, sagaId, { target_host: target });
    await appendEvent(queries, sagaId, `target ${target}`, nowMs);
    return target;
  }
  throw new NoneBooked(said, last);
}
