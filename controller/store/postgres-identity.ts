/**
 * Whether this PostgreSQL is still the one that the records were written to. Another system identifier is a cluster that
 * was restored from a dump or copied; another timeline is one that was restored to a point in time, or a standby that was
 * promoted. Either may know less than the agents, so everything stands still until a person has compared (SAFETY R13).
 */

import { sql } from "kysely";
import { storeNowMs } from "./dialect.js";
import { freeze } from "./freeze.js";
import { readMeta, writeMeta } from "./meta.js";
import type { Queries } from "./schema.js";

const META = "postgres_identity";

/** Remembers what it sees; freezes when it is not what was remembered. In a transaction. */
export async function recognisePostgres(queries: Queries): Promise<void> {
  const identity = await identityOf(queries);
  const known = await readMeta(queries, META);
  if (identity === known) return;
  await writeMeta(queries, META, identity);
  if (known === undefined) return;
  const reason = `the database is ${identity}, and was ${known}: it was restored, or a standby was promoted`;
  await freeze(queries, { reason, atMs: await nowMs(queries) });
}

/** `system 7412…, timeline 1` */
async function identityOf(queries: Queries): Promise<string> {
  const { rows } = await sql<{ identity: string }>`
    SELECT 'system ' || system_identifier || ', timeline ' || timeline_id AS identity
    FROM pg_control_system(), pg_control_checkpoint()`.execute(queries);
  return rows[0]?.identity ?? "unknown";
}

async function nowMs(queries: Queries): Promise<number> {
  const { rows } = await sql<{ now: number }>`SELECT ${storeNowMs(queries)} AS now`.execute(queries);
  return rows[0]?.now ?? 0;
}
