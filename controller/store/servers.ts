/** The server table, and the server as a message. */

import { sql } from "kysely";
import { Fault } from "../../proto/fault.js";
import { PerformRequest } from "../../proto/gen/ferry/v1/agent.js";
import { Disk, FaultInfo, Flavor, NetworkInterface, type Server } from "../../proto/gen/ferry/v1/model.js";
import { zoneOf } from "./aggregates.js";
import {
  type Columns,
  flag,
  int,
  message,
  messages,
  optionalMessage,
  text,
  textMap,
  texts,
  toRow,
} from "./columns.js";
import { isUniqueViolation, lockFreeRow } from "./dialect.js";
import { fixedQuery } from "./fixed-query.js";
import { isOrphaned } from "./processes.js";
import { RememberedRows } from "./remembered-rows.js";
import type { Queries, ServerTable } from "./schema.js";
import { type ServerSelection, selectServers } from "./server-selection.js";

export interface ServerRecord {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly flavor: Flavor;
  /** active | stopped | resized | error; `building` until the agent has made it. */
  readonly vmState: string;
  readonly taskState: string;
  readonly powerState: string;
  readonly epoch: number;
  readonly owner: string;
  readonly disks: readonly Disk[];
  readonly interfaces: readonly NetworkInterface[];
  readonly image: string;
  readonly maxDowntimeSeconds: number;
  readonly migrationId: string;
  readonly fault: FaultInfo | undefined;
  /** What its agent was asked and has not answered yet, outside migrations. */
  readonly pending: PerformRequest | undefined;
  readonly project: string;
  /** owner | admin, or empty. */
  readonly lockedBy: string;
  readonly lockedReason: string;
  /** It is to be deleted as soon as no migration holds it any more (SAFETY R16). */
  readonly deleteAsked: boolean;
  /** The controller that carries `pending` out. */
  readonly taskOwner: string;
  /** Raised whenever another controller takes the server's saga or task over. */
  readonly term: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** Id of the server group, or empty. */
  readonly serverGroup: string;
  /** The zone that was asked for, or empty. */
  readonly availabilityZone: string;
  /** Ids of servers on whose host it is to be, or not to be. */
  readonly sameHost: readonly string[];
  readonly differentHost: readonly string[];
  /** What the image asks of a host. */
  readonly imageProperties: Readonly<Record<string, string>>;
}

const COLUMNS: Columns<ServerRecord> = {
  id: text("id"),
  name: text("name"),
  host: text("host"),
  flavor: message("flavor", Flavor),
  vmState: text("vm_state"),
  taskState: text("task_state"),
  powerState: text("power_state"),
  epoch: int("epoch"),
  owner: text("owner"),
  disks: messages("disks", Disk),
  interfaces: messages("interfaces", NetworkInterface),
  image: text("image"),
  maxDowntimeSeconds: int("max_downtime_seconds"),
  migrationId: text("migration_id"),
  fault: optionalMessage("fault", FaultInfo),
  pending: optionalMessage("pending", PerformRequest),
  project: text("project"),
  lockedBy: text("locked_by"),
  lockedReason: text("locked_reason"),
  deleteAsked: flag("delete_asked"),
  taskOwner: text("task_owner"),
  term: int("term"),
  createdAtMs: int("created_at_ms"),
  updatedAtMs: int("updated_at_ms"),
  serverGroup: text("server_group"),
  availabilityZone: text("availability_zone"),
  sameHost: texts("same_host"),
  differentHost: texts("different_host"),
  imageProperties: textMap("image_properties"),
};

const remembered = new RememberedRows(COLUMNS);
const recordOf = (row: ServerTable): ServerRecord => remembered.recordOf(row);

const serverById = fixedQuery((queries, id: string) =>
  queries.selectFrom("server").selectAll().where("id", "=", id),
);

export async function findServerById(queries: Queries, id: string): Promise<ServerRecord | undefined> {
  const { rows } = await serverById(queries, id);
  return rows[0] && recordOf(rows[0]);
}

/** By name or id; refused when there is none. */
export async function findServer(queries: Queries, nameOrId: string): Promise<ServerRecord> {
  const row = await queries
    .selectFrom("server")
    .selectAll()
    .where(where => where.or([where("id", "=", nameOrId), where("name", "=", nameOrId)]))
    .executeTakeFirst();
  if (row === undefined) throw new Fault("not-found", `Instance ${nameOrId} could not be found.`);
  return recordOf(row);
}

/** All of them by name, or as the selection says. */
export async function listServers(
  queries: Queries,
  selection: ServerSelection = {},
): Promise<ServerRecord[]> {
  return (await selectServers(queries, selection)).map(recordOf);
}

export async function insertServer(queries: Queries, server: ServerRecord): Promise<void> {
  try {
    await queries
      .insertInto("server")
      .values(toRow(COLUMNS, server) as ServerTable)
      .execute();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new Fault("already-exists", `a server named ${server.name} already exists`, {
      fix: "choose another name",
    });
  }
}

/** Changes the named parts and the time of the change. */
export async function updateServer(
  queries: Queries,
  id: string,
  changes: Partial<Omit<ServerRecord, "id">>,
  nowMs: number,
): Promise<void> {
  await queries
    .updateTable("server")
    .set(toRow<ServerRecord>(COLUMNS, { ...changes, updatedAtMs: nowMs }))
    .where("id", "=", id)
    .execute();
}

/**
 * Takes the server for one task, if nobody else has it or has asked for its end, in one statement. False when
 * somebody was faster.
 */
export async function takeServer(
  queries: Queries,
  id: string,
  task: string,
  nowMs: number,
): Promise<boolean> {
  const taken = await queries
    .updateTable("server")
    .set({ task_state: task, updated_at_ms: nowMs })
    .where("id", "=", id)
    .where("task_state", "=", "")
    .where("migration_id", "=", "")
    .where("pending", "is", null)
    .where("delete_asked", "in", task === "deleting" ? [0, 1] : [0])
    .executeTakeFirst();
  return taken.numUpdatedRows === 1n;
}

/** Names and epochs of those of the servers that the store knows. */
export async function listEpochs(
  queries: Queries,
  ids: readonly string[],
): Promise<{ readonly id: string; readonly name: string; readonly epoch: number }[]> {
  if (ids.length === 0) return [];
  return queries.selectFrom("server").select(["id", "name", "epoch"]).where("id", "in", ids).execute();
}

/** Responsibility for the server changes hands: agents refuse whoever still speaks with the number before. */
export async function raiseEpoch(queries: Queries, id: string): Promise<number> {
  const row = await queries
    .updateTable("server")
    .set(build => ({ epoch: build("epoch", "+", 1) }))
    .where("id", "=", id)
    .returning("epoch")
    .executeTakeFirstOrThrow();
  return row.epoch;
}

/** Another controller speaks for the server from now on, with the same intent. */
export async function raiseTerm(queries: Queries, id: string): Promise<number> {
  const row = await queries
    .updateTable("server")
    .set(build => ({ term: build("term", "+", 1) }))
    .where("id", "=", id)
    .returning("term")
    .executeTakeFirst();
  return row?.term ?? 0;
}

/** A server whose task or deletion nobody carries out any more, nor this owner; held until the transaction ends. */
export async function findOrphanedTask(queries: Queries, owner: string): Promise<string | undefined> {
  const orphans = queries
    .selectFrom("server")
    .select("id")
    .where(where => where.or([where("pending", "is not", null), where("delete_asked", "=", 1)]))
    .where("task_owner", "<>", owner)
    .where(isOrphaned<"server">(queries, "server.task_owner"))
    .orderBy("id")
    .limit(1);
  const orphan = await lockFreeRow(queries, orphans).executeTakeFirst();
  return orphan?.id;
}

export async function deleteServerRow(queries: Queries, id: string): Promise<void> {
  await queries.deleteFrom("server").where("id", "=", id).execute();
}

/** Nova's derivation of the status that users see. */
export function statusOf(vmState: string, taskState: string): string {
  if (vmState === "error") return "ERROR";
  if (vmState === "building") return "BUILD";
  if (vmState === "resized") return taskState === "resize_reverting" ? "REVERT_RESIZE" : "VERIFY_RESIZE";
  if (taskState.startsWith("resize_")) return "RESIZE";
  return vmState === "stopped" ? "SHUTOFF" : "ACTIVE";
}

/** With the zone of its present host. */
export const showServer = async (queries: Queries, server: ServerRecord): Promise<Server> =>
  serverMessage(server, await zoneOf(queries, server.host));

/** `zone` is that of its present host. */
export function serverMessage(server: ServerRecord, zone: string): Server {
  const { pending: _pending, deleteAsked: _asked, taskOwner: _owner, term: _term, ...shown } = server;
  const { disks, interfaces, serverGroup, sameHost, differentHost, ...rest } = shown;
  return {
    ...rest,
    disks: [...disks],
    interfaces: [...interfaces],
    status: statusOf(server.vmState, server.taskState),
    availabilityZone: zone,
    pinnedAvailabilityZone: server.availabilityZone,
    schedulerHints: { group: serverGroup, sameHost: [...sameHost], differentHost: [...differentHost] },
    imageProperties: { ...server.imageProperties },
  };
}

/** Servers at home on a host that were asked into a zone. */
export async function pinnedServersOn(
  queries: Queries,
  host: string,
): Promise<{ readonly name: string; readonly zone: string }[]> {
  const rows = await queries
    .selectFrom("server")
    .select(["name", "availability_zone"])
    .where("host", "=", host)
    .where("availability_zone", "<>", "")
    .execute();
  return rows.map(row => ({ name: row.name, zone: row.availability_zone }));
}

/** Servers that are being worked on, by their home. */
export async function countBusyServersByHost(queries: Queries): Promise<Map<string, number>> {
  const rows = await queries
    .selectFrom("server")
    .select(({ fn }) => ["host", fn.countAll<number>().as("count")])
    .where("task_state", "<>", sql.lit(""))
    .groupBy("host")
    .execute();
  return new Map(rows.map(row => [row.host, Number(row.count)]));
}
