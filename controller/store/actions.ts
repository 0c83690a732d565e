/** The action table: what was asked of each server, by whom, under which request id. Kept when the server is gone. */

import { sql } from "kysely";
import { Fault } from "../../proto/fault.js";
import { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { type Columns, int, optionalMessage, text, toRecord, toRow } from "./columns.js";
import { isUniqueViolation } from "./dialect.js";
import type { ActionTable, Queries } from "./schema.js";

export interface ActionRecord {
  readonly serverId: string;
  readonly requestId: string;
  /** Of a request that is carried out once, however often it comes; empty when its caller gave it no id. */
  readonly requestDigest: string;
  /** Nova's: create | delete | start | stop | migrate | resize | confirmResize | revertResize | lock | unlock | reset_state; and
   * adopt | cancelMigration | recoverMigration | setMigration */
  readonly action: string;
  readonly requestedBy: string;
  readonly project: string;
  /** The migration whose journal tells how it went; empty: the fields below do. */
  readonly migrationId: string;
  readonly host: string;
  /** What exactly was asked, where the action does not say it. */
  readonly detail: string;
  readonly startedAtMs: number;
  /** 0 while it goes on. */
  readonly endedAtMs: number;
  readonly fault: FaultInfo | undefined;
}

const COLUMNS: Columns<ActionRecord> = {
  serverId: text("server_id"),
  requestId: text("request_id"),
  requestDigest: text("request_digest"),
  action: text("action"),
  requestedBy: text("requested_by"),
  project: text("project"),
  migrationId: text("migration_id"),
  host: text("host"),
  detail: text("detail"),
  startedAtMs: int("started_at_ms"),
  endedAtMs: int("ended_at_ms"),
  fault: optionalMessage("fault", FaultInfo),
};

/** Answers its number among the server's. */
export async function insertAction(queries: Queries, action: ActionRecord): Promise<number> {
  const last = await queries
    .selectFrom("action")
    .select(({ fn }) => fn.max("seq").as("seq"))
    .where("server_id", "=", action.serverId)
    .executeTakeFirst();
  const seq = (last?.seq ?? 0) + 1;
  try {
    await queries
      .insertInto("action")
      .values({ ...toRow(COLUMNS, action), seq } as ActionTable)
      .execute();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new Fault("conflict", `request ${action.requestId} has been begun already`);
  }
  return seq;
}

/** What was asked under an id of the caller's, of whichever server. */
export async function findRequested(queries: Queries, requestId: string): Promise<ActionRecord | undefined> {
  const row = await queries
    .selectFrom("action")
    .selectAll()
    .where("request_id", "=", requestId)
    .where("request_digest", "<>", sql.lit(""))
    .executeTakeFirst();
  return row && toRecord(COLUMNS, row);
}

/** The task that an agent carries out for this server has ended; a server has one at a time. Answers what that was. */
export async function endActions(
  queries: Queries,
  serverId: string,
  nowMs: number,
  fault?: FaultInfo,
): Promise<(ActionRecord & { readonly seq: number })[]> {
  const open = queries
    .selectFrom("action")
    .selectAll()
    .where("server_id", "=", serverId)
    .where("migration_id", "=", "")
    .where("ended_at_ms", "=", 0)
    .orderBy("seq");
  const ended = (await open.execute()).map(row => ({ ...toRecord(COLUMNS, row), seq: row.seq }));
  await queries
    .updateTable("action")
    .set(toRow<ActionRecord>(COLUMNS, { endedAtMs: nowMs, fault }))
    .where("server_id", "=", serverId)
    .where("migration_id", "=", "")
    .where("ended_at_ms", "=", 0)
    .execute();
  return ended;
}

/** Under which it was last asked for this migration or an end of it; empty when nobody did. */
export async function latestRequestId(
  queries: Queries,
  serverId: string,
  migrationId: string,
): Promise<string> {
  const row = await queries
    .selectFrom("action")
    .select("request_id")
    .where("server_id", "=", serverId)
    .where("migration_id", "=", migrationId)
    .where("action", "<>", sql.lit("setMigration"))
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
  return row?.request_id ?? "";
}

/** What was asked about one migration, oldest first. */
export async function listActionsOn(
  queries: Queries,
  serverId: string,
  migrationId: string,
): Promise<ActionRecord[]> {
  const rows = await queries
    .selectFrom("action")
    .selectAll()
    .where("server_id", "=", serverId)
    .where("migration_id", "=", migrationId)
    .orderBy("seq")
    .execute();
  return rows.map(row => toRecord(COLUMNS, row));
}

/** Newest first. */
export async function listActions(queries: Queries, serverId: string): Promise<ActionRecord[]> {
  const rows = await queries
    .selectFrom("action")
    .selectAll()
    .where("server_id", "=", serverId)
    .orderBy("seq", "desc")
    .execute();
  return rows.map(row => toRecord(COLUMNS, row));
}
