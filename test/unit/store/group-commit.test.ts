/** Transactions that share a commit are still transactions: each whole or not at all, and durable when it is answered. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { Kysely, SqliteDialect, sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GroupCommit } from "../../../controller/store/group-commit.js";
import type { Queries, Schema } from "../../../controller/store/schema.js";

let folder: string;
let database: Database.Database;
let queries: Queries;
let statements: string[];
let group: GroupCommit;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ferry-group-"));
  statements = [];
  database = new Database(join(folder, "store.db"), { verbose: line => statements.push(String(line)) });
  database.pragma("foreign_keys = ON");
  database.exec("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)");
  database.exec("CREATE TABLE child (parent TEXT REFERENCES meta DEFERRABLE INITIALLY DEFERRED)");
  queries = new Kysely<Schema>({ dialect: new SqliteDialect({ database }) });
  group = new GroupCommit(queries, { isInTransaction: () => database.inTransaction, onCommit: () => {} });
  statements.length = 0;
});
afterEach(async () => {
  await queries.destroy();
  rmSync(folder, { recursive: true });
});

const put = (key: string, then?: () => void) => (tx: Queries) =>
  tx
    .insertInto("meta")
    .values({ key, value: "x" })
    .execute()
    .then(() => then?.());
const keys = () => database.prepare("SELECT key FROM meta ORDER BY key").pluck().all();
const commits = () => statements.filter(line => /^commit$/i.test(line)).length;
const fail = () => {
  throw new Error("changed my mind");
};

describe("transactions at the same time", () => {
  it("pay for few commits", async () => {
    const names = Array.from({ length: 50 }, (_, index) => `k${index}`);
    await Promise.all(names.map(name => group.transaction(put(name))));
    expect(keys()).toHaveLength(50);
    expect(commits()).toBeLessThanOrEqual(3);
  });

  it("fail alone, and leave nothing", async () => {
    const outcomes = await Promise.allSettled([
      group.transaction(put("a")),
      group.transaction(put("b", fail)),
      group.transaction(put("c")),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(keys()).toEqual(["a", "c"]);
  });

  it("see what those before them wrote", async () => {
    await Promise.allSettled([group.transaction(put("a")), group.transaction(put("a"))]).then(outcomes =>
      expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]),
    );
  });

  it("are answered only when the commit is done", async () => {
    const seen: number[] = [];
    await Promise.all(
      ["a", "b", "c"].map(key => group.transaction(put(key)).then(() => seen.push(commits()))),
    );
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(1);
  });

  it("all fail when their commit fails", async () => {
    const orphan = (tx: Queries) => sql`INSERT INTO child VALUES ('nobody')`.execute(tx);
    const first = group.transaction(put("first"));
    const outcomes = await Promise.allSettled([group.transaction(put("a")), group.transaction(orphan)]);
    await first;
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(keys()).toEqual(["first"]);
    await group.transaction(put("later"));
    expect(keys()).toEqual(["first", "later"]);
  });

  it("all fail when the database has rolled back by itself, and nobody is told otherwise", async () => {
    const first = group.transaction(put("first"));
    const lost = (tx: Queries) => sql`ROLLBACK`.execute(tx).then(fail);
    const outcomes = await Promise.allSettled([
      group.transaction(put("a")),
      group.transaction(lost),
      group.transaction(put("c")),
    ]);
    await first;
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(keys()).toEqual(["first"]);
  });
});
