/** Where SQLite and PostgreSQL differ and a query must know. */

import { PostgresAdapter, type RawBuilder, type SelectQueryBuilder, sql } from "kysely";
import type { Queries, Schema } from "./schema.js";

const isPostgres = (queries: Queries): boolean => queries.getExecutor().adapter instanceof PostgresAdapter;

/**
 * Holds the selected rows against other transactions until this one ends; one that wants them too waits instead of
 * being repeated. SQLite refuses the words `FOR UPDATE` and does not need them: its one connection runs one
 * transaction at a time.
 */
export function lockRow<Table extends keyof Schema, Row>(
  queries: Queries,
  query: SelectQueryBuilder<Schema, Table, Row>,
): SelectQueryBuilder<Schema, Table, Row> {
  return isPostgres(queries) ? query.forUpdate() : query;
}

/** The same for rows of which any will do: those that somebody else holds are passed over. */
export function lockFreeRow<Table extends keyof Schema, Row>(
  queries: Queries,
  query: SelectQueryBuilder<Schema, Table, Row>,
): SelectQueryBuilder<Schema, Table, Row> {
  return isPostgres(queries) ? query.forUpdate().skipLocked() : query;
}

/**
 * The time of whoever keeps the rows, in milliseconds and some way ahead: the only clock that controllers on one database
 * share. Not the transaction's time, which stands still while it waits for a lock.
 */
export const storeNowMs = (queries: Queries, aheadMs = 0): RawBuilder<number> =>
  isPostgres(queries)
    ? sql<number>`(extract(epoch FROM clock_timestamp()) * 1000)::bigint + ${aheadMs}::bigint`
    : sql<number>`CAST(unixepoch('subsec') * 1000 AS INTEGER) + ${aheadMs}`;

/** The text of a field of a column that holds a JSON object. */
export const jsonField = (queries: Queries, column: string, field: string): RawBuilder<string> =>
  isPostgres(queries)
    ? sql<string>`${sql.ref(column)}::json ->> ${sql.lit(field)}`
    : sql<string>`${sql.ref(column)} ->> ${sql.lit(field)}`;

/** A unique index refused the row: SQLite's code, or PostgreSQL's SQLSTATE. */
export function isUniqueViolation(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "SQLITE_CONSTRAINT_UNIQUE" || code === "SQLITE_CONSTRAINT_PRIMARYKEY" || code === "23505";
}
