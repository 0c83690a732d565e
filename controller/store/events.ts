/** What happened to a migration, one line each, in order; what `watch` follows. */

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
  const last = await queries
    .selectFrom("event")
    .select(({ fn }) => fn.max("seq").as("seq"))
    .where("migration", "=", migrationId)
    .executeTakeFirst();
  const seq = (last?.seq ?? 0) + 1;
  await queries.insertInto("event").values({ migration: migrationId, seq, at_ms: atMs, text }).execute();
  return seq;
}

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
