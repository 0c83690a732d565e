/** Where SQLite and PostgreSQL differ and a query must know. */

import type { SelectQueryBuilder } from "kysely";
import type { Schema } from "./schema.js";

/**
 * Holds the selected rows against other transactions until this one ends. SQLite refuses the words `FOR UPDATE` and
 * does not need them: its one connection runs one transaction at a time.
 */
export function lockRow<Table extends keyof Schema, Row>(
  query: SelectQueryBuilder<Schema, Table, Row>,
): SelectQueryBuilder<Schema, Table, Row> {
  return query;
}

/** A unique index refused the row: SQLite's code, or PostgreSQL's SQLSTATE. */
export function isUniqueViolation(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "SQLITE_CONSTRAINT_UNIQUE" || code === "SQLITE_CONSTRAINT_PRIMARYKEY" || code === "23505";
}
