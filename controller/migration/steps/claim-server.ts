/**
 * The server belongs to one migration. Claimed in the transaction that begins the saga, so that it is visible before
 * the caller is answered and a second migration is refused; the epoch was raised in the same transaction.
 */

import { Fault } from "../../../proto/fault.js";
import { nothingToUndo, type Reversible, type Write } from "../../saga/step.js";
import { isUniqueViolation } from "../../store/dialect.js";
import {
  findMigration,
  insertMigration,
  type MigrationRecord,
  updateMigration,
} from "../../store/migrations.js";
import { findServerById, takeServer, updateServer } from "../../store/servers.js";
import { conflictOf } from "../conflict.js";
import type { MigrationWorld } from "../migration-world.js";
import { actionOf, isResize, type MigrationRequest } from "../request.js";

export const claimServer: Reversible<MigrationWorld, MigrationRequest, object> = {
  name: "claim-server",
  limitMs: 10_000,

  async begun(request, { queries, nowMs, epoch }) {
    const taken = await takeServer(queries, request.serverId, "resize_prep", nowMs);
    if (!taken)
      throw conflictOf(actionOf(request), await findServerById(queries, request.serverId), request.serverId);
    await updateServer(queries, request.serverId, { migrationId: request.migrationId }, nowMs);
    await insertOnce(request, { queries, nowMs, epoch });
  },

  run: async () => ({}),
  undo: nothingToUndo,

  /** The server is as it was and free again; the migration has failed, or was taken back by a person. */
  async undone(request, { queries, nowMs, sagaId }) {
    const { vmState, powerState, serverId } = request;
    const free = { vmState, powerState, taskState: "", migrationId: "" };
    await updateServer(queries, serverId, free, nowMs);
    const record = await findMigration(queries, sagaId);
    const status = record?.status === "reverting" ? "reverted" : "error";
    await updateMigration(queries, sagaId, { status, open: false }, nowMs);
  },
};

async function insertOnce(
  request: MigrationRequest,
  write: Pick<Write, "queries" | "nowMs" | "epoch">,
): Promise<void> {
  try {
    await insertMigration(write.queries, recordOf(request, write.nowMs, write.epoch));
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new Fault("conflict", `server ${request.serverName} has an open migration already`);
  }
}

function recordOf(request: MigrationRequest, nowMs: number, epoch: number): Omit<MigrationRecord, "number"> {
  return {
    id: request.migrationId,
    serverId: request.serverId,
    serverName: request.serverName,
    type: isResize(request) ? "resize" : "migration",
    status: "",
    open: true,
    stuck: false,
    sourceHost: request.sourceHost,
    targetHost: "",
    targetAsked: false,
    oldFlavor: request.oldFlavor,
    newFlavor: request.flavor,
    step: "",
    direction: "forward",
    steps: [],
    fault: undefined,
    progress: undefined,
    receipt: [],
    notes:
      request.compression === undefined ? [] : [`compression of disk data: ${request.compression}, as asked`],
    refusals: [],
    downtimeMs: 0,
    autoConfirmAtMs: 0,
    autoConfirmLeftMs: 0,
    epoch,
    requestedBy: request.requestedBy,
    project: request.project,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    endedAtMs: 0,
  };
}
