/** The allocation table: what each consumer holds of each host. */

import { raiseGenerations } from "./hosts.js";
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

/** The caller raises the hosts' generations, because it has to compare them. */
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

/** Booked, by host and resource class; of all hosts when none is named. */
export async function usageByHost(
  queries: Queries,
  hosts?: readonly string[],
): Promise<Map<string, Map<string, number>>> {
  let query = queries
    .selectFrom("allocation")
    .select(({ fn }) => ["host", "resource_class", fn.sum<number>("amount").as("used")])
    .groupBy(["host", "resource_class"]);
  if (hosts !== undefined) query = query.where("host", "in", [...hosts]);
  const usage = new Map<string, Map<string, number>>();
  for (const row of await query.execute()) {
    const classes = usage.get(row.host) ?? new Map<string, number>();
    usage.set(row.host, classes.set(row.resource_class, Number(row.used)));
  }
  return usage;
}

export async function deleteAllocations(queries: Queries, consumer: string): Promise<void> {
  await raiseGenerations(queries, await hostsOf(queries, consumer));
  await queries.deleteFrom("allocation").where("consumer", "=", consumer).execute();
}

export async function reassignAllocations(
  queries: Queries,
  from: string,
  to: { readonly consumer: string; readonly kind: ConsumerKind },
): Promise<void> {
  await raiseGenerations(queries, await hostsOf(queries, from));
  await queries
    .updateTable("allocation")
    .set({ consumer: to.consumer, consumer_kind: to.kind })
    .where("consumer", "=", from)
    .execute();
}

/** What a consumer holds is held on another host. */
export async function reassignHost(queries: Queries, consumer: string, host: string): Promise<void> {
  await queries.updateTable("allocation").set({ host }).where("consumer", "=", consumer).execute();
}

export async function hasAllocations(queries: Queries, consumer: string): Promise<boolean> {
  return (await hostsOf(queries, consumer)).length > 0;
}

/** Ids of the servers that hold something of each host, also by their migrations. */
export async function serversByHost(
  queries: Queries,
  hosts: readonly string[],
): Promise<Map<string, Set<string>>> {
  const servers = new Map<string, Set<string>>();
  for (const { host, server } of await holders(queries)
    .where("host", "in", [...hosts])
    .execute()) {
    const known = servers.get(host) ?? new Set<string>();
    servers.set(host, known.add(server));
  }
  return servers;
}

/** On how many hosts these servers are, and how many of them on each. */
export async function placesOfServers(
  queries: Queries,
  servers: readonly string[],
): Promise<Map<string, number>> {
  if (servers.length === 0) return new Map();
  // Two questions with an index each; as one with an "or" between them they cost a look at every booking. The union is
  // one row for a server that holds both sides of a host.
  const rows = await holders(queries)
    .where("consumer", "in", [...servers])
    .union(holders(queries).where("migration.server_id", "in", [...servers]))
    .execute();
  const places = new Map<string, number>();
  for (const { host } of rows) places.set(host, (places.get(host) ?? 0) + 1);
  return places;
}

/** Host and server, once for each pair. */
const holders = (queries: Queries) =>
  queries
    .selectFrom("allocation")
    .leftJoin("migration", "migration.id", "allocation.consumer")
    .select(({ fn }) => [
      "allocation.host as host",
      fn.coalesce("migration.server_id", "allocation.consumer").as("server"),
    ])
    .distinct();

async function hostsOf(queries: Queries, consumer: string): Promise<string[]> {
  const rows = await queries
    .selectFrom("allocation")
    .select("host")
    .distinct()
    .where("consumer", "=", consumer)
    .execute();
  return rows.map(({ host }) => host);
}
