/** The host table: what is known of each host whether or not its agent answers. */

import type { Insertable, Selectable, Updateable } from "kysely";
import type { HostTable, Queries } from "./schema.js";

export type HostRow = Readonly<Selectable<HostTable>>;

export async function findHost(queries: Queries, name: string): Promise<HostRow | undefined> {
  return queries.selectFrom("host").selectAll().where("name", "=", name).executeTakeFirst();
}

export async function listHosts(queries: Queries): Promise<HostRow[]> {
  return queries.selectFrom("host").selectAll().orderBy("name").execute();
}

export async function insertHost(queries: Queries, row: Insertable<HostTable>): Promise<void> {
  await queries.insertInto("host").values(row).execute();
}

export async function updateHost(
  queries: Queries,
  name: string,
  changes: Updateable<HostTable>,
): Promise<void> {
  await queries.updateTable("host").set(changes).where("name", "=", name).execute();
}

/** Servers at home on each host. */
export async function countServersByHost(queries: Queries): Promise<Map<string, number>> {
  const rows = await queries
    .selectFrom("server")
    .select(({ fn }) => ["host", fn.countAll<number>().as("count")])
    .groupBy("host")
    .execute();
  return new Map(rows.map(row => [row.host, Number(row.count)]));
}
