/** What happened to a migration, one line each, in order; what `watch` follows. */

import { sql } from "kysely";
import { fixedQuery } from "./fixed-query.js";
import type { Queries } from "./schema.js";

export interface MigrationEvent {
  readonly seq: number;
  readonly atMs: number;
  readonly text: string;
}

/** Answers its number among those of the migration. */
export async function appendEvent(
  queries: Queries,
  migrationId: string,
  text: string,
  atMs: number,
): Promise<number> {
  const { rows } = await append(queries, migrationId, text, atMs);
  return Number(rows[0]?.seq);
}

const append = fixedQuery((queries, migration: string, text: string, atMs: number) => {
  const next = queries
    .selectFrom("event")
    .select(({ fn }) => sql<number>`${fn.coalesce(fn.max("seq"), sql.lit(0))} + 1`.as("seq"))
    .where("migration", "=", migration);
  return queries.insertInto("event").values({ migration, seq: next, at_ms: atMs, text }).returning("seq");
});

/** Those after `seq`, oldest first. */
export async function eventsAfter(
  queries: Queries,
  migrationId: string,
  seq: number,
): Promise<MigrationEvent[]> {
  const rows = await queries
    .selectFrom("event")
    .selectAll()
    .where("migration", "=", migrationId)
    .where("seq", ">", seq)
    .orderBy("seq")
    .execute();
  return rows.map(row => ({ seq: row.seq, atMs: row.at_ms, text: row.text }));
}
