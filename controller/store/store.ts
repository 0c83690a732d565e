/**
 * The controller's store: an SQLite file that belongs to one process, or a PostgreSQL database that several
 * controllers share. What is above this folder does not know which.
 *
 * A transaction is all or nothing, durable when it resolves, and as if no other one ran beside it. It may be carried out
 * more than once until it goes through, so its body touches nothing but its own queries, and awaits nothing else.
 */

import type { Hints } from "./hints.js";
import { isPostgresUrl, openPostgres } from "./postgres.js";
import type { Queries } from "./schema.js";
import { upgradeSchema } from "./schema-versions.js";
import { openSqlite } from "./sqlite.js";

/** One kind of database, opened. */
export interface Engine {
  readonly queries: Queries;
  /** Other controllers may work on it at the same time. */
  readonly isShared: boolean;
  readonly hints: Hints;
  transaction<T>(body: (queries: Queries) => Promise<T>): Promise<T>;
  /** Resolves when there may be something that was written since the last time that it did, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void>;
  /** One transaction, with every other controller that wants the same kept waiting: for changes of the schema. */
  alone(body: (queries: Queries) => Promise<void>): Promise<void>;
  /** Is it still the database that the records were written to? Everything is frozen when it is not. */
  recognise(): Promise<void>;
  close(): Promise<void>;
}

/** What most of the controller needs of the store. */
export type Transactions = Pick<Store, "queries" | "transaction">;

export interface StoreOptions {
  /** PostgreSQL only: serve although a failover could forget what was committed. */
  readonly allowLossyFailover?: boolean;
}

export class Store {
  readonly #engine: Engine;

  private constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * Opens or creates the store: a `postgres://` URL, or the path of an SQLite file. `":memory:"` keeps it nowhere, for
   * tests.
   */
  static async open(location: string, options: StoreOptions = {}): Promise<Store> {
    const engine = isPostgresUrl(location) ? await openPostgres(location, options) : openSqlite(location);
    try {
      await upgradeSchema(engine);
      await engine.recognise();
    } catch (error) {
      await engine.close();
      throw error;
    }
    return new Store(engine);
  }

  get queries(): Queries {
    return this.#engine.queries;
  }

  get isShared(): boolean {
    return this.#engine.isShared;
  }

  get hints(): Hints {
    return this.#engine.hints;
  }

  transaction<T>(body: (queries: Queries) => Promise<T>): Promise<T> {
    return this.#engine.transaction(body);
  }

  /** Resolves when there may be something that was written since the last time that it did, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return this.#engine.changed(signal);
  }

  close(): Promise<void> {
    return this.#engine.close();
  }
}
