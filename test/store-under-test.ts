/**
 * The store that the running project tests: SQLite in memory, or in project `postgres` a database of one's own. Store
 * tests open theirs here, and so hold for both.
 */

import { randomUUID } from "node:crypto";
import { Client } from "pg";
import { inject } from "vitest";
import { Store } from "../controller/store/store.js";
import { databaseUrl } from "./postgres/cluster.js";

export const isOnPostgres = (): boolean => inject("postgresUrl") !== undefined;

/** A location for `Store.open` that holds nothing yet. */
export async function freshLocation(): Promise<string> {
  const url = inject("postgresUrl");
  if (url === undefined) return ":memory:";
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${name}`);
  } finally {
    await client.end();
  }
  return databaseUrl(url, name);
}

export const openFreshStore = async (): Promise<Store> => Store.open(await freshLocation());
