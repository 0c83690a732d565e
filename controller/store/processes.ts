/**
 * The controllers that are at work on this store, each for as long as its lease lasts, and what only one of them does
 * at a time. Leases are counted by the store's clock, the only one that they share.
 */

import type { ExpressionBuilder } from "kysely";
import { storeNowMs } from "./dialect.js";
import type { Queries, Schema } from "./schema.js";

/** Longest lease: of a process that has the store to itself. */
export const FOR_EVER_MS = 2 ** 52;

export async function enterProcess(queries: Queries, owner: string, leaseMs: number): Promise<void> {
  const untilMs = leaseMs === FOR_EVER_MS ? FOR_EVER_MS : storeNowMs(queries, leaseMs);
  await queries.insertInto("process").values({ owner, until_ms: untilMs }).execute();
}

/** False when the row is gone: somebody has tidied up behind a process that was silent for long. */
export async function renewProcess(queries: Queries, owner: string, leaseMs: number): Promise<boolean> {
  const renewed = await queries
    .updateTable("process")
    .set({ until_ms: storeNowMs(queries, leaseMs) })
    .where("owner", "=", owner)
    .executeTakeFirst();
  return renewed.numUpdatedRows === 1n;
}

export async function leaveProcess(queries: Queries, owner: string): Promise<void> {
  await queries.deleteFrom("process").where("owner", "=", owner).execute();
}

/** Only who holds the store alone may call it: whoever was here before is dead. */
export async function forgetProcesses(queries: Queries): Promise<void> {
  await queries.deleteFrom("process").execute();
}

/** In a `where`: `owner` names no process whose lease lasts. */
export const isOrphaned =
  <Table extends "saga" | "server" | "duty">(queries: Queries, column: OwnerColumn[Table]) =>
  (where: ExpressionBuilder<Schema, Table>) =>
    where.not(
      where.exists(
        queries
          .selectFrom("process")
          .select("process.owner")
          .whereRef("process.owner", "=", column as never)
          .where("until_ms", ">", storeNowMs(queries)),
      ),
    );

interface OwnerColumn {
  saga: "saga.owner";
  server: "server.task_owner";
  duty: "duty.owner";
}

/** Whether this process is the one that does it: takes it when nobody else's lease lasts. */
export async function holdDuty(queries: Queries, name: string, owner: string): Promise<boolean> {
  const row = await queries.selectFrom("duty").selectAll().where("name", "=", name).executeTakeFirst();
  if (row?.owner === owner) return true;
  if (row === undefined) {
    await queries.insertInto("duty").values({ name, owner }).execute();
    return true;
  }
  const taken = await queries
    .updateTable("duty")
    .set({ owner })
    .where("name", "=", name)
    .where(isOrphaned<"duty">(queries, "duty.owner"))
    .executeTakeFirst();
  return taken.numUpdatedRows === 1n;
}
