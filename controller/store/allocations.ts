/** The allocation table: what each consumer holds of each host. */

import type { Queries } from "./schema.js";

/** A server holds where it lives; a migration holds what the server would need back on its source. */
export type ConsumerKind = "server" | "migration";

export interface AllocationRecord {
  readonly consumer: string;
  readonly consumerKind: ConsumerKind;
  readonly host: string;
  readonly resourceClass: string;
  readonly amount: number;
}

export async function listAllocations(queries: Queries): Promise<AllocationRecord[]> {
  const rows = await queries
    .selectFrom("allocation")
    .selectAll()
    .orderBy("consumer")
    .orderBy("host")
    .orderBy("resource_class")
    .execute();
  return rows.map(row => ({
    consumer: row.consumer,
    consumerKind: row.consumer_kind === "migration" ? "migration" : "server",
    host: row.host,
    resourceClass: row.resource_class,
    amount: row.amount,
  }));
}

export async function insertAllocations(
  queries: Queries,
  allocations: readonly AllocationRecord[],
): Promise<void> {
  if (allocations.length === 0) return;
  const rows = allocations.map(({ consumer, consumerKind, host, resourceClass, amount }) => ({
    consumer,
    consumer_kind: consumerKind,
    host,
    resource_class: resourceClass,
    amount,
  }));
  await queries.insertInto("allocation").values(rows).execute();
}

/** Booked on a host, by resource class. */
export async function usageOf(queries: Queries, host: string): Promise<Map<string, number>> {
  const rows = await queries
    .selectFrom("allocation")
    .select(({ fn }) => ["resource_class", fn.sum<number>("amount").as("used")])
    .where("host", "=", host)
    .groupBy("resource_class")
    .execute();
  return new Map(rows.map(row => [row.resource_class, Number(row.used)]));
}

export async function deleteAllocations(queries: Queries, consumer: string): Promise<void> {
  await queries.deleteFrom("allocation").where("consumer", "=", consumer).execute();
}

export async function reassignAllocations(
  queries: Queries,
  from: string,
  to: { readonly consumer: string; readonly kind: ConsumerKind },
): Promise<number> {
  const moved = await queries
    .updateTable("allocation")
    .set({ consumer: to.consumer, consumer_kind: to.kind })
    .where("consumer", "=", from)
    .executeTakeFirst();
  return Number(moved.numUpdatedRows);
}

export async function hasAllocations(queries: Queries, consumer: string): Promise<boolean> {
  const row = await queries
    .selectFrom("allocation")
    .select("consumer")
    .where("consumer", "=", consumer)
    .executeTakeFirst();
  return row !== undefined;
}
