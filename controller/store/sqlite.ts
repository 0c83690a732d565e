/**
 * A store in one SQLite file (WAL, synchronous=FULL) that belongs to one process.
 *
 * The file is locked for as long as the store is open, so a second controller on the same file is refused instead
 * of deciding beside the first one. There is one connection: a transaction holds everybody else up, so nothing but
 * the transaction's own queries may be awaited inside it. Those that wait meanwhile share the next commit.
 */

import Database from "better-sqlite3";
import { Kysely } from "kysely";
import { Fault } from "../../proto/fault.js";
import { Changes } from "./changes.js";
import { GroupCommit } from "./group-commit.js";
import { NO_HINTS } from "./hints.js";
import { RememberedStatements } from "./remembered-statements.js";
import type { Schema } from "./schema.js";
import { PlannedOnceDialect } from "./sqlite-dialect.js";
import type { Engine } from "./store.js";

export function openSqlite(path: string): Engine {
  const database = openExclusively(path);
  const dialect = new PlannedOnceDialect({ database: new RememberedStatements(database) });
  const queries = new Kysely<Schema>({ dialect });
  const changes = new Changes();
  const group = new GroupCommit(queries, {
    isInTransaction: () => database.inTransaction,
    onCommit: () => changes.note(),
  });
  return {
    queries,
    isShared: false,
    hints: NO_HINTS,
    transaction: body => group.transaction(body),
    changed: signal => changes.next(signal),
    alone: body => queries.transaction().execute(body),
    // A file says nothing of where it comes from; what the agents know of it does.
    recognise: async () => {},
    close: () => queries.destroy(),
  };
}

function openExclusively(path: string): Database.Database {
  const database = new Database(path, { timeout: 100 });
  try {
    database.pragma("locking_mode = EXCLUSIVE");
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    database.pragma("foreign_keys = ON");
    // As PostgreSQL has it.
    database.pragma("case_sensitive_like = ON");
    // The lock is taken by the first access, not by the pragma.
    database.exec("BEGIN EXCLUSIVE; COMMIT");
  } catch (error) {
    database.close();
    throw isBusy(error) ? inUse(path) : error;
  }
  return database;
}

const isBusy = (error: unknown): boolean =>
  error instanceof Database.SqliteError && error.code.startsWith("SQLITE_BUSY");

const inUse = (path: string): Fault =>
  new Fault("conflict", `the store ${path} is in use by another ferry-controller`, {
    fix: "stop the other controller, give this one its own store, or let them share a PostgreSQL database",
  });
