/** The aggregate tables: hosts that have something in common, and the zone that they are in. */

import { Fault } from "../../proto/fault.js";
import type { Aggregate } from "../../proto/gen/ferry/v1/placement.js";
import { isUniqueViolation } from "./dialect.js";
import { raiseGenerations } from "./hosts.js";
import type { AggregateTable, Queries } from "./schema.js";

export async function listAggregates(queries: Queries): Promise<Aggregate[]> {
  const rows = await queries.selectFrom("aggregate").selectAll().orderBy("id").execute();
  const members = await queries.selectFrom("aggregate_host").selectAll().orderBy("host").execute();
  const hostsOf = Map.groupBy(members, member => member.aggregate);
  return rows.map(row =>
    aggregateOf(
      row,
      (hostsOf.get(row.id) ?? []).map(({ host }) => host),
    ),
  );
}

/** By id or name; refused when there is none. */
export async function findAggregate(queries: Queries, nameOrId: string): Promise<Aggregate> {
  const row = await queries
    .selectFrom("aggregate")
    .selectAll()
    .where(where =>
      where.or([
        where("name", "=", nameOrId),
        ...(/^\d{1,9}$/.test(nameOrId) ? [where("id", "=", Number(nameOrId))] : []),
      ]),
    )
    .executeTakeFirst();
  if (row === undefined) throw new Fault("not-found", `Aggregate ${nameOrId} could not be found.`);
  const members = await queries
    .selectFrom("aggregate_host")
    .select("host")
    .where("aggregate", "=", row.id)
    .orderBy("host")
    .execute();
  return aggregateOf(
    row,
    members.map(({ host }) => host),
  );
}

/** Its id is the next one, as Nova numbers them. */
export async function insertAggregate(
  queries: Queries,
  aggregate: Omit<Aggregate, "id" | "hosts">,
): Promise<number> {
  const last = await queries
    .selectFrom("aggregate")
    .select(({ fn }) => fn.max("id").as("id"))
    .executeTakeFirst();
  const id = (last?.id ?? 0) + 1;
  await renamed(aggregate.name, () =>
    queries
      .insertInto("aggregate")
      .values({
        id,
        uuid: aggregate.uuid,
        name: aggregate.name,
        availability_zone: aggregate.availabilityZone,
        metadata: JSON.stringify(aggregate.metadata),
        created_at_ms: aggregate.createdAtMs,
        updated_at_ms: aggregate.updatedAtMs,
      })
      .execute(),
  );
  return id;
}

type AggregateChanges = Partial<Pick<Aggregate, "name" | "availabilityZone" | "metadata">>;

export async function updateAggregate(
  queries: Queries,
  { id, name, hosts }: Aggregate,
  changes: AggregateChanges,
  nowMs: number,
): Promise<void> {
  await renamed(changes.name ?? name, () =>
    queries
      .updateTable("aggregate")
      .set({
        updated_at_ms: nowMs,
        ...(changes.name === undefined ? {} : { name: changes.name }),
        ...(changes.availabilityZone === undefined ? {} : { availability_zone: changes.availabilityZone }),
        ...(changes.metadata === undefined ? {} : { metadata: JSON.stringify(changes.metadata) }),
      })
      .where("id", "=", id)
      .execute(),
  );
  await raiseGenerations(queries, hosts);
}

export async function addAggregateHost(queries: Queries, aggregate: number, host: string): Promise<void> {
  await queries.insertInto("aggregate_host").values({ aggregate, host }).execute();
  await raiseGenerations(queries, [host]);
}

export async function removeAggregateHost(queries: Queries, aggregate: number, host: string): Promise<void> {
  await queries
    .deleteFrom("aggregate_host")
    .where("aggregate", "=", aggregate)
    .where("host", "=", host)
    .execute();
  await raiseGenerations(queries, [host]);
}

export async function deleteAggregate(queries: Queries, id: number): Promise<void> {
  await queries.deleteFrom("aggregate").where("id", "=", id).execute();
}

async function renamed(name: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new Fault("already-exists", `Aggregate ${name} already exists.`);
  }
}

const aggregateOf = (row: AggregateTable, hosts: string[]): Aggregate => ({
  id: row.id,
  uuid: row.uuid,
  name: row.name,
  availabilityZone: row.availability_zone,
  hosts,
  metadata: JSON.parse(row.metadata) as Record<string, string>,
  createdAtMs: row.created_at_ms,
  updatedAtMs: row.updated_at_ms,
});

/** What an aggregate says of each of its hosts. */
export type HostAggregate = Pick<Aggregate, "availabilityZone" | "metadata">;

export async function aggregatesByHost(
  queries: Queries,
  hosts: readonly string[],
): Promise<Map<string, HostAggregate[]>> {
  const rows = await queries
    .selectFrom("aggregate_host")
    .innerJoin("aggregate", "aggregate.id", "aggregate_host.aggregate")
    .select(["aggregate_host.host", "aggregate.availability_zone", "aggregate.metadata"])
    .where("aggregate_host.host", "in", [...hosts])
    .orderBy("aggregate.id")
    .execute();
  const byHost = new Map<string, HostAggregate[]>();
  for (const { host, availability_zone: availabilityZone, metadata } of rows) {
    const aggregate = { availabilityZone, metadata: JSON.parse(metadata) as Record<string, string> };
    byHost.set(host, [...(byHost.get(host) ?? []), aggregate]);
  }
  return byHost;
}

/** Nova's name for the zone of a host that is in none. */
export const DEFAULT_ZONE = "nova";

/** Hosts that are in a zone of their own; all others are in the default zone. */
export async function zonesByHost(queries: Queries): Promise<Map<string, string>> {
  const rows = await queries
    .selectFrom("aggregate_host")
    .innerJoin("aggregate", "aggregate.id", "aggregate_host.aggregate")
    .select(["aggregate_host.host", "aggregate.availability_zone"])
    .where("aggregate.availability_zone", "<>", "")
    .execute();
  return new Map(rows.map(row => [row.host, row.availability_zone]));
}

export async function zoneOf(queries: Queries, host: string): Promise<string> {
  return (await zonesByHost(queries)).get(host) ?? DEFAULT_ZONE;
}
