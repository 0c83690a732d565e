/**
 * The controller's store: one SQLite file (WAL, synchronous=FULL) that belongs to one process.
 *
 * The file is locked for as long as the store is open, so a second controller on the same file is refused instead
 * of deciding beside the first one. There is one connection: a transaction holds everybody else up, so nothing but
 * the transaction's own queries may be awaited inside it.
 */

import Database from "better-sqlite3";
import { Kysely, SqliteDialect } from "kysely";
import { Fault } from "../../proto/fault.js";
import type { Queries, Schema } from "./schema.js";
import { upgradeSchema } from "./schema-versions.js";

/** What most of the controller needs of the store. */
export type Transactions = Pick<Store, "queries" | "transaction">;

export class Store {
  readonly queries: Queries;

  private constructor(queries: Queries) {
    this.queries = queries;
  }

  /** Opens or creates the store. `":memory:"` keeps it nowhere, for tests. */
  static async open(path: string): Promise<Store> {
    const database = openExclusively(path);
    const queries = new Kysely<Schema>({ dialect: new SqliteDialect({ database }) });
    try {
      await upgradeSchema(queries);
    } catch (error) {
      database.close();
      throw error;
    }
    return new Store(queries);
  }

  /** All or nothing, durable when it resolves. */
  transaction<T>(body: (queries: Queries) => Promise<T>): Promise<T> {
    return this.queries.transaction().execute(body);
  }

  close(): Promise<void> {
    return this.queries.destroy();
  }
}

function openExclusively(path: string): Database.Database {
  const database = new Database(path, { timeout: 100 });
  try {
    database.pragma("locking_mode = EXCLUSIVE");
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    database.pragma("foreign_keys = ON");
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
    fix: "stop the other controller, or give this one its own store",
  });
