/**
 * A store in PostgreSQL, shared by several controllers.
 *
 * Every transaction is SERIALIZABLE and carried out again when PostgreSQL finds that it could not have run alone
 * (40001, 40P01): the rest of the controller reads as if it had the store to itself, as it has with SQLite. A few at a
 * time, because those that run beside each other are those that must be repeated; one that was overtaken several times has
 * the whole database wait for it. A database that could forget what it has committed is refused (SAFETY R13).
 */

import { Kysely, PostgresDialect, sql } from "kysely";
import { Fault } from "../../proto/fault.js";
import { Gate } from "./gate.js";
import { refuseForgetful } from "./postgres-durability.js";
import { PostgresHints } from "./postgres-hints.js";
import { recognisePostgres } from "./postgres-identity.js";
import { createPool } from "./postgres-pool.js";
import type { Queries, Schema } from "./schema.js";
import type { Engine, StoreOptions } from "./store.js";

const TRANSACTIONS_AT_A_TIME = 4;
/** So often a transaction may be overtaken; then no other one runs beside it. */
const ATTEMPTS_AMONG_OTHERS = 5;
const ATTEMPTS = 15;
const LONGEST_PAUSE_MS = 50;
/** Table locks: the second waits until nobody holds the first, and keeps those back that come later. */
const AMONG_OTHERS = "ROW SHARE";
const ALONE = "EXCLUSIVE";
/** Any number by which nobody else locks in this database. */
const UPGRADE_LOCK = 0x66657272;

export const isPostgresUrl = (location: string): boolean => /^postgres(ql)?:\/\//.test(location);

export async function openPostgres(
  url: string,
  { allowLossyFailover = false }: StoreOptions,
): Promise<Engine> {
  const queries = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: createPool(url) }) });
  try {
    await refuseForgetful(queries, { allowLossyFailover });
  } catch (error) {
    await queries.destroy();
    throw error;
  }
  const gate = new Gate(TRANSACTIONS_AT_A_TIME);
  const transaction: Engine["transaction"] = body => gate.pass(() => serializable(queries, body));
  const recognise = () => transaction(recognisePostgres);
  // A connection that broke may have been made anew to another server.
  const hints = new PostgresHints(url, queries, recognise);
  return {
    queries,
    isShared: true,
    hints,
    transaction,
    recognise,
    // By others, too: who looks has to look.
    changed: async () => {},
    alone: body => holdingLock(queries, body),
    async close() {
      await hints.close();
      await queries.destroy();
    },
  };
}

async function serializable<T>(queries: Queries, body: (queries: Queries) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const mode = attempt <= ATTEMPTS_AMONG_OTHERS ? AMONG_OTHERS : ALONE;
    try {
      return await queries
        .transaction()
        .setIsolationLevel("serializable")
        .execute(async transaction => {
          // Before anything is read: what a transaction sees is settled by its first query, and this is none.
          await sql`LOCK TABLE meta IN ${sql.raw(mode)} MODE`.execute(transaction);
          return body(transaction);
        });
    } catch (error) {
      if (!isInterleaved(error)) throw error;
      if (attempt === ATTEMPTS) throw overrun(error);
      await pause(Math.random() * Math.min(2 ** attempt, LONGEST_PAUSE_MS));
    }
  }
}

/** With a lock of the session, so that it is taken before the transaction begins: it sees what the last holder has done. */
function holdingLock(queries: Queries, body: (queries: Queries) => Promise<void>): Promise<void> {
  return queries.connection().execute(async connection => {
    await sql`SELECT pg_advisory_lock(${UPGRADE_LOCK})`.execute(connection);
    try {
      await connection.transaction().execute(body);
    } finally {
      await sql`SELECT pg_advisory_unlock(${UPGRADE_LOCK})`.execute(connection);
    }
  });
}

/** Serialization failure, or a deadlock that PostgreSQL has broken: nothing was written, and again it may go through. */
const isInterleaved = (error: unknown): boolean => {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "40001" || code === "40P01";
};

const overrun = (cause: unknown): Fault =>
  new Fault("failed", `the store was too busy: a transaction was overtaken ${ATTEMPTS} times`, {}, { cause });

const pause = (durationMs: number): Promise<void> => new Promise(resolve => setTimeout(resolve, durationMs));
