/** The host table: what is known of each host whether or not its agent answers. */

import type { Insertable, Selectable, Updateable } from "kysely";
import { Fault } from "../../proto/fault.js";
import { fixedQuery } from "./fixed-query.js";
import type { HostTable, Queries } from "./schema.js";

export type HostRow = Readonly<Selectable<HostTable>>;

const BRIEF = [
  "name",
  "status",
  "disabled_reason",
  "address",
  "migration_address",
  "data_port",
  "agent_version",
  "boot_id",
  "machine_id",
  "install_id",
  "instance_id",
  "incarnation",
  "hook_problem",
  "quarantine",
  "forced_down",
  "silent",
  "last_heartbeat_ms",
  "generation",
  "traits",
] as const satisfies readonly (keyof HostTable)[];

export type BriefHostRow = Omit<HostRow, "hardware">;

const hostByName = fixedQuery((queries, name: string) =>
  queries.selectFrom("host").selectAll().where("name", "=", name),
);

export async function findHost(queries: Queries, name: string): Promise<HostRow | undefined> {
  const { rows } = await hostByName(queries, name);
  return rows[0];
}

/** Refused when there is none of that name. */
export async function knownHost(queries: Queries, name: string): Promise<HostRow> {
  const row = await findHost(queries, name);
  if (row === undefined) throw new Fault("not-found", `Compute host ${name} could not be found.`);
  return row;
}

/** Without their hardware, which is long. */
export async function listHosts(queries: Queries): Promise<BriefHostRow[]> {
  return queries.selectFrom("host").select(BRIEF).orderBy("name").execute();
}

export async function insertHost(queries: Queries, row: Insertable<HostTable>): Promise<void> {
  await queries.insertInto("host").values(row).execute();
}

export async function updateHost(
  queries: Queries,
  name: string,
  changes: Updateable<HostTable>,
): Promise<void> {
  if (Object.keys(changes).length === 0) return;
  await queries.updateTable("host").set(changes).where("name", "=", name).execute();
}

/** Something that the scheduler sees. */
export async function changeHost(
  queries: Queries,
  name: string,
  changes: Updateable<HostTable>,
): Promise<void> {
  await updateHost(queries, name, changes);
  await raiseGenerations(queries, [name]);
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

/** Whoever has seen these hosts before has to look again. */
export async function raiseGenerations(queries: Queries, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await queries
    .updateTable("host")
    .set(build => ({ generation: build("generation", "+", 1) }))
    .where("name", "in", [...names])
    .execute();
}

/** Cheap enough to be asked before every decision. */
export async function generationsOfHosts(
  queries: Queries,
): Promise<{ readonly name: string; readonly generation: number }[]> {
  return queries.selectFrom("host").select(["name", "generation"]).orderBy("name").execute();
}

export async function readHosts(queries: Queries, names: readonly string[]): Promise<HostRow[]> {
  return queries
    .selectFrom("host")
    .selectAll()
    .where("name", "in", [...names])
    .execute();
}
