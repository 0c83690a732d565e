/** The migration table, and the migration as a message. */

import { sql } from "kysely";
import {
  CopiedFile,
  FaultInfo,
  Flavor,
  type Migration,
  Progress,
  StepRecord,
  TargetRefusal,
} from "../../proto/gen/ferry/v1/model.js";
import {
  type Columns,
  flag,
  int,
  message,
  messages,
  optionalMessage,
  text,
  texts,
  toRecord,
  toRow,
} from "./columns.js";
import { fixedQuery } from "./fixed-query.js";
import { type MigrationSelection, pageOfMigrations } from "./migration-selection.js";
import { RememberedRows } from "./remembered-rows.js";
import type { MigrationTable, Queries } from "./schema.js";

export interface MigrationRecord {
  readonly id: string;
  readonly serverId: string;
  readonly serverName: string;
  /** migration | resize */
  readonly type: string;
  /** Nova's, without `stuck`. */
  readonly status: string;
  /** It holds the server: one per server. */
  readonly open: boolean;
  readonly stuck: boolean;
  readonly sourceHost: string;
  readonly targetHost: string;
  /** It was asked for something that only its own word takes back (SAFETY R4). */
  readonly targetAsked: boolean;
  readonly oldFlavor: Flavor;
  readonly newFlavor: Flavor;
  readonly step: string;
  readonly direction: string;
  readonly steps: readonly StepRecord[];
  readonly fault: FaultInfo | undefined;
  readonly progress: Progress | undefined;
  readonly receipt: readonly CopiedFile[];
  readonly notes: readonly string[];
  /** Targets that were passed over. */
  readonly refusals: readonly TargetRefusal[];
  readonly downtimeMs: number;
  readonly autoConfirmAtMs: number;
  readonly autoConfirmLeftMs: number;
  readonly epoch: number;
  readonly requestedBy: string;
  /** Counts migrations from 1. */
  readonly number: number;
  readonly project: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly endedAtMs: number;
}

const COLUMNS: Columns<MigrationRecord> = {
  id: text("id"),
  serverId: text("server_id"),
  serverName: text("server_name"),
  type: text("type"),
  status: text("status"),
  open: flag("open"),
  stuck: flag("stuck"),
  sourceHost: text("source_host"),
  targetHost: text("target_host"),
  targetAsked: flag("target_asked"),
  oldFlavor: message("old_flavor", Flavor),
  newFlavor: message("new_flavor", Flavor),
  step: text("step"),
  direction: text("direction"),
  steps: messages("steps", StepRecord),
  fault: optionalMessage("fault", FaultInfo),
  progress: optionalMessage("progress", Progress),
  receipt: messages("receipt", CopiedFile),
  notes: texts("notes"),
  refusals: messages("refusals", TargetRefusal),
  downtimeMs: int("downtime_ms"),
  autoConfirmAtMs: int("auto_confirm_at_ms"),
  autoConfirmLeftMs: int("auto_confirm_left_ms"),
  epoch: int("epoch"),
  requestedBy: text("requested_by"),
  number: int("number"),
  project: text("project"),
  createdAtMs: int("created_at_ms"),
  updatedAtMs: int("updated_at_ms"),
  endedAtMs: int("ended_at_ms"),
};

const recordOf = (row: MigrationTable): MigrationRecord => toRecord(COLUMNS, row);

const LEFT_OUT = { steps: [], receipt: [], notes: [], refusals: [], progress: undefined };
const {
  steps: _steps,
  receipt: _receipt,
  notes: _notes,
  refusals: _refusals,
  progress: _progress,
  ...BRIEF
} = COLUMNS;
const BRIEF_NAMES = Object.values(BRIEF).map(({ name }) => name as Exclude<keyof MigrationTable, LongColumn>);
type LongColumn = "steps" | "receipt" | "notes" | "refusals" | "progress";
const remembered = new RememberedRows(BRIEF);

/** Those that are on their way are looked at over and over. */
const MOST_WHOLE_ROWS = 500;
const rememberedWhole = new RememberedRows(COLUMNS, MOST_WHOLE_ROWS);

/** Under the next number. */
export async function insertMigration(
  queries: Queries,
  record: Omit<MigrationRecord, "number">,
): Promise<void> {
  const last = await queries
    .selectFrom("migration")
    .select(({ fn }) => fn.max("number").as("number"))
    .executeTakeFirst();
  await queries
    .insertInto("migration")
    .values(toRow(COLUMNS, { ...record, number: (last?.number ?? 0) + 1 }) as MigrationTable)
    .execute();
}

const migrationById = fixedQuery((queries, id: string) =>
  queries.selectFrom("migration").selectAll().where("id", "=", id),
);

export async function findMigration(queries: Queries, id: string): Promise<MigrationRecord | undefined> {
  const { rows } = await migrationById(queries, id);
  return rows[0] && rememberedWhole.recordOf(rows[0]);
}

/** Newest first. */
export async function listMigrations(
  queries: Queries,
  selection: MigrationSelection = {},
): Promise<MigrationRecord[]> {
  const rows = await (await pageOfMigrations(queries, selection)).selectAll().execute();
  return rows.map(recordOf);
}

/** Without what makes a migration long; newest first. */
export async function listBriefMigrations(
  queries: Queries,
  selection: MigrationSelection = {},
): Promise<MigrationRecord[]> {
  const rows = await (await pageOfMigrations(queries, selection)).select(BRIEF_NAMES).execute();
  return rows.map(row => ({ ...remembered.recordOf(row), ...LEFT_OUT }));
}

/** Finished migrations whose window still runs. */
export async function listAwaitingConfirm(queries: Queries): Promise<MigrationRecord[]> {
  const rows = await queries
    .selectFrom("migration")
    .selectAll()
    .where("open", "=", sql.lit(1))
    .where("status", "=", "finished")
    .where("auto_confirm_left_ms", ">", 0)
    .execute();
  return rows.map(recordOf);
}

/** Target of each migration that is carrying data there. */
export async function listTransferringHosts(queries: Queries): Promise<string[]> {
  const rows = await queries
    .selectFrom("migration")
    .select("target_host")
    .where("open", "=", sql.lit(1))
    .where("status", "in", ["pre-migrating", "migrating", "post-migrating"])
    .where("target_host", "<>", "")
    .execute();
  return rows.map(row => row.target_host);
}

export async function updateMigration(
  queries: Queries,
  id: string,
  changes: Partial<Omit<MigrationRecord, "id">>,
  nowMs: number,
): Promise<void> {
  await queries
    .updateTable("migration")
    .set(toRow<MigrationRecord>(COLUMNS, { ...changes, updatedAtMs: nowMs }))
    .where("id", "=", id)
    .execute();
}

/** The one guarded update by which confirm, revert and delete exclude each other (SAFETY R15); false for losers. */
export async function decideMigration(
  queries: Queries,
  id: string,
  from: string,
  to: "confirming" | "reverting",
  nowMs: number,
): Promise<boolean> {
  const decided = await queries
    .updateTable("migration")
    .set({ status: to, auto_confirm_at_ms: 0, auto_confirm_left_ms: 0, updated_at_ms: nowMs })
    .where("id", "=", id)
    .where("open", "=", sql.lit(1))
    .where("status", "=", from)
    .executeTakeFirst();
  return decided.numUpdatedRows === 1n;
}

/** `queuePosition`: among those that wait for their turn, from 1; 0 of any other. */
export function migrationMessage(record: MigrationRecord, queuePosition = 0): Migration {
  const { open: _open, stuck, targetAsked: _asked, autoConfirmLeftMs: _left, ...rest } = record;
  return {
    ...rest,
    status: stuck ? "stuck" : record.status,
    steps: [...record.steps],
    receipt: [...record.receipt],
    notes: [...record.notes],
    refusals: [...record.refusals],
    queuePosition,
    actions: [],
  };
}
