/**
 * Connections to PostgreSQL as Kysely wants them, with the store's own ideas of values and failures: int8 is a number
 * (every one of ours is below 2^53), and a database that is not there is `unreachable`, which means unknown: a commit whose
 * answer was lost may have happened.
 */

import type { PostgresPool, PostgresPoolClient } from "kysely";
import { DatabaseError, Pool, type PoolClient, types } from "pg";
import { Fault } from "../../proto/fault.js";

const INT8 = 20;
const CONNECTIONS = 10;
const CONNECT_TIMEOUT_MS = 5_000;
/** Longer than any statement of ours takes; shorter than a lease may stay unrenewed. */
const QUERY_TIMEOUT_MS = 10_000;
/** A controller that is frozen in the middle of a transaction holds the others up for no longer than this. */
const IDLE_IN_TRANSACTION_MS = 3_000;

/** What every connection to the store is made with. */
export const connectionOptions = (url: string) => ({
  connectionString: url,
  application_name: "ferry-controller",
  connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  query_timeout: QUERY_TIMEOUT_MS,
  idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
  keepAlive: true,
  types: { getTypeParser: parserOf },
});

export function createPool(url: string): PostgresPool {
  const pool = new Pool({ ...connectionOptions(url), max: CONNECTIONS });
  // A connection that breaks between two queries tells whoever asks next, and must not end the process meanwhile.
  pool.on("error", () => undefined);
  pool.on("connect", client => client.on("error", () => undefined));
  return {
    connect: async () => faultful(await pool.connect().catch(throwStoreFault)),
    end: () => pool.end(),
    options: pool.options,
  };
}

function faultful(client: PoolClient): PostgresPoolClient {
  const query = (text: string, values: unknown[]) => client.query(text, values).catch(throwStoreFault);
  // Kysely's second way to call it is for cursors, of which there are none here.
  return { query: query as unknown as PostgresPoolClient["query"], release: client.release };
}

function parserOf(oid: number, format?: "text" | "binary") {
  if (oid === INT8 && format !== "binary") return Number;
  return types.getTypeParser(oid, format as "text");
}

/** Connection exceptions (08…), a server that shuts down or starts (57P0…), and what never became an answer. */
const UNREACHABLE = /^(08...|57P0.|E[A-Z]+)$/;

function throwStoreFault(error: unknown): never {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const isAnswer = error instanceof DatabaseError;
  if (isAnswer && !UNREACHABLE.test(code)) throw error;
  const { message } = error as Error;
  throw new Fault(
    "unreachable",
    `the store does not answer: ${message || code}`,
    { fix: "look at PostgreSQL, and at `store` in controller.toml" },
    { cause: error },
  );
}
