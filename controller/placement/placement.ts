/**
 * Bookings: atomic, and never more than a host offers. Everything happens in the caller's transaction.
 *
 *   phase            consumer server        consumer migration
 *   before           source: old flavor     –
 *   select-target    target: new flavor     source: old flavor
 *   confirmed        target: new flavor     –
 *   taken back       source: old flavor     –
 *
 * Source and target may be one host: then both are booked on it. A host's generation is raised by every change, so
 * that of two transactions that read the same usage only one can write.
 */

import { Fault } from "../../proto/fault.js";
import { fromFaultInfo } from "../../proto/fault-info.js";
import {
  deleteAllocations,
  hasAllocations,
  insertAllocations,
  reassignAllocations,
} from "../store/allocations.js";
import { lockRow } from "../store/dialect.js";
import { bookedInventories } from "../store/inventories.js";
import type { Queries } from "../store/schema.js";
import type { Resources } from "./resources.js";
import { shortagesOf } from "./shortage.js";

/** Books `needed` for a server on a host; refused with the first shortage. */
export async function claimForServer(
  queries: Queries,
  serverId: string,
  host: string,
  needed: Resources,
): Promise<void> {
  const generation = await generationOf(queries, host);
  const offered = (await bookedInventories(queries, [host])).get(host) ?? [];
  const [shortage] = shortagesOf(host, offered, needed);
  if (shortage !== undefined) throw fromFaultInfo(shortage);
  await raiseGeneration(queries, host, generation);
  const rows = [...needed].map(([resourceClass, amount]) => ({
    consumer: serverId,
    consumerKind: "server" as const,
    host,
    resourceClass,
    amount,
  }));
  await insertAllocations(queries, rows);
}

/**
 * Books what the server holds for the migration instead, and the target for the server, in place of a target that was
 * booked before. When the target has no room the caller tries another one or rolls back.
 */
export async function beginMove(
  queries: Queries,
  { serverId, migrationId, target, needed }: Move,
): Promise<void> {
  const alreadyMoved = await hasAllocations(queries, migrationId);
  if (alreadyMoved) await deleteAllocations(queries, serverId);
  else await reassignAllocations(queries, serverId, { consumer: migrationId, kind: "migration" });
  await claimForServer(queries, serverId, target, needed);
}

export interface Move {
  readonly serverId: string;
  readonly migrationId: string;
  readonly target: string;
  readonly needed: Resources;
}

/** Back to before `beginMove`, also when it never happened. */
export async function undoMove(queries: Queries, serverId: string, migrationId: string): Promise<void> {
  if (!(await hasAllocations(queries, migrationId))) return;
  await deleteAllocations(queries, serverId);
  await reassignAllocations(queries, migrationId, { consumer: serverId, kind: "server" });
}

/** The source is let go. */
export async function finishMove(queries: Queries, migrationId: string): Promise<void> {
  await deleteAllocations(queries, migrationId);
}

async function generationOf(queries: Queries, host: string): Promise<number> {
  const query = queries.selectFrom("host").select("generation").where("name", "=", host);
  const row = await lockRow(queries, query).executeTakeFirst();
  if (row === undefined) throw new Fault("not-found", `Compute host ${host} could not be found.`);
  return row.generation;
}

async function raiseGeneration(queries: Queries, host: string, generation: number): Promise<void> {
  const raised = await queries
    .updateTable("host")
    .set({ generation: generation + 1 })
    .where("name", "=", host)
    .where("generation", "=", generation)
    .executeTakeFirst();
  if (raised.numUpdatedRows === 1n) return;
  throw new Fault("failed", `host ${host} was booked by somebody else at the same time`);
}
