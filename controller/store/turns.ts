/** The turn table: who copies, and who waits for its turn. A row is there from the first question until it copies no more. */

import type { Selectable } from "kysely";
import type { Queries, TurnTable } from "./schema.js";

export type TurnRow = Readonly<Selectable<TurnTable>>;

export async function listTurns(queries: Queries): Promise<TurnRow[]> {
  return queries.selectFrom("turn").selectAll().orderBy("queued_at_ms").orderBy("migration").execute();
}

export async function findTurn(queries: Queries, migration: string): Promise<TurnRow | undefined> {
  return queries.selectFrom("turn").selectAll().where("migration", "=", migration).executeTakeFirst();
}

export async function insertTurn(queries: Queries, turn: TurnRow): Promise<void> {
  await queries.insertInto("turn").values(turn).execute();
}

export async function takeTurns(queries: Queries, migrations: readonly string[]): Promise<void> {
  if (migrations.length === 0) return;
  await queries
    .updateTable("turn")
    .set({ taken: 1 })
    .where("migration", "in", [...migrations])
    .execute();
}

export async function listTaken(queries: Queries): Promise<string[]> {
  const rows = await queries.selectFrom("turn").select("migration").where("taken", "=", 1).execute();
  return rows.map(({ migration }) => migration);
}

/** Another target, or another place among those that wait. */
export async function changeTurn(
  queries: Queries,
  migration: string,
  changes: Partial<Pick<TurnRow, "target_host" | "priority">>,
): Promise<void> {
  await queries.updateTable("turn").set(changes).where("migration", "=", migration).execute();
}

export async function endTurn(queries: Queries, migration: string): Promise<void> {
  await queries.deleteFrom("turn").where("migration", "=", migration).execute();
}

export async function anyWaits(queries: Queries): Promise<boolean> {
  const row = await queries.selectFrom("turn").select("migration").where("taken", "=", 0).limit(1).execute();
  return row.length > 0;
}
