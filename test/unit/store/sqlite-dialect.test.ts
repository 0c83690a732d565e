/** What SQLite's planner makes of the store's queries. */

import Database from "better-sqlite3";
import { Kysely } from "kysely";
import { afterEach, beforeEach, expect, it } from "vitest";
import { fixedQuery } from "../../../controller/store/fixed-query.js";
import { listAwaitingConfirm, listTransferringHosts } from "../../../controller/store/migrations.js";
import type { Queries, Schema } from "../../../controller/store/schema.js";
import { upgradeSchema } from "../../../controller/store/schema-versions.js";
import { countBusyServersByHost } from "../../../controller/store/servers.js";
import { PlannedOnceDialect } from "../../../controller/store/sqlite-dialect.js";
import type { Engine } from "../../../controller/store/store.js";

let database: Database.Database;
let queries: Queries;
let texts: string[];
beforeEach(async () => {
  database = new Database(":memory:");
  const prepare = (text: string) => {
    texts.push(text);
    return database.prepare(text);
  };
  texts = [];
  queries = new Kysely<Schema>({ dialect: new PlannedOnceDialect({ database: { prepare, close() {} } }) });
  await upgradeSchema({ alone: body => queries.transaction().execute(body) } as Engine);
});
afterEach(() => database.close());

/** How long the tenth part of so many takes, of the text as it is planned anew or once. */
function microseconds(text: string, ...values: unknown[]): number {
  const statement = database.prepare(text);
  const times = Array.from({ length: 20 }, () => {
    const startedMs = performance.now();
    for (let count = 0; count < 200; count += 1) statement.all(...values);
    return performance.now() - startedMs;
  });
  return (Math.min(...times) / 200) * 1000;
}

it("binding a value does not have a statement planned anew", async () => {
  const page = (limit: number) =>
    queries.selectFrom("event").select("text").where("migration", "=", "m").orderBy("seq").limit(limit);
  const { sql, parameters } = page(1).compile();
  expect(sql).toMatch(/= \+\?.*limit \+\?$/);
  const anew = microseconds(sql.replaceAll("+?", "?"), ...parameters);
  expect(microseconds(sql, ...parameters)).toBeLessThan(anew / 2);
});

it("what a sign stands before is what it was: texts, numbers and nothing", async () => {
  await queries.insertInto("meta").values({ key: "k", value: "-1e3 text" }).execute();
  expect(await queries.selectFrom("meta").selectAll().where("key", "=", "k").execute()).toEqual([
    { key: "k", value: "-1e3 text" },
  ]);
  const values = database.prepare("SELECT +? AS a, +? AS b, +? AS c, typeof(+?) AS d");
  expect(values.get("007", 2 ** 52, null, "5")).toEqual({ a: "007", b: 2 ** 52, c: null, d: "text" });
});

it.each([
  ["servers that are worked on", countBusyServersByHost, "server_busy"],
  ["migrations that await their confirmation", listAwaitingConfirm, "migration_open"],
  ["hosts that data is carried to", listTransferringHosts, "migration_open"],
] as const)("%s are found by the index of those alone", async (_name, ask, index) => {
  await ask(queries);
  const text = texts.at(-1) ?? "";
  const values = Array.from(text.matchAll(/\+\?/g), () => 0);
  const plan = database.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${text}`).all(...values);
  expect(plan.map(({ detail }) => detail).join("; ")).toContain(index);
});

it("a fixed query is made once and asks with the values of each time", async () => {
  let made = 0;
  const between = fixedQuery((store, least: number, most: number) => {
    made += 1;
    const all = store.selectFrom("event").select("seq").where("migration", "=", "m");
    return all.where("seq", ">=", least).where("seq", "<=", most).orderBy("seq");
  });
  for (const seq of [1, 2, 3, 4])
    await queries.insertInto("event").values({ migration: "m", seq, at_ms: 0, text: "" }).execute();
  const seqs = async (store: Queries, least: number, most: number) =>
    (await between(store, least, most)).rows.map(({ seq }) => seq);
  expect(await seqs(queries, 2, 3)).toEqual([2, 3]);
  expect(await seqs(queries, 4, 9)).toEqual([4]);
  await queries.transaction().execute(async store => expect(await seqs(store, 1, 1)).toEqual([1]));
  expect(made).toBe(1);
});
