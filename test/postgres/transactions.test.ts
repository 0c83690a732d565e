/** What only a shared database can do wrong: transactions beside each other, forgetting, and not being there. */

import { Client } from "pg";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readFreeze, thaw } from "../../controller/store/freeze.js";
import { readMeta, writeMeta } from "../../controller/store/meta.js";
import { Store } from "../../controller/store/store.js";
import { freshLocation } from "../store-under-test.js";

let location: string;
let stores: Store[];
const open = async (): Promise<Store> => {
  const store = await Store.open(location);
  stores.push(store);
  return store;
};

beforeEach(async () => {
  location = await freshLocation();
  stores = [];
});
afterEach(async () => {
  await Promise.all(stores.map(store => store.close()));
});

async function administer(...statements: string[]): Promise<void> {
  const client = new Client({ connectionString: location });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Ends every connection to the database but this call's own. */
const cutOthers = (): Promise<void> =>
  administer(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
  );

describe("a shared store", () => {
  it("is made once by controllers that start at the same time", async () => {
    await Promise.all(Array.from({ length: 5 }, open));
    expect(await readMeta(stores[0]?.queries ?? (await open()).queries, "schema_version")).toMatch(/^\d+$/);
  });

  it("repeats transactions that could not have run one after the other", async () => {
    const both = [await open(), await open()];
    await writeMeta((await open()).queries, "sum", "0");
    let bodies = 0;
    const addOne = (store: Store) =>
      store.transaction(async queries => {
        bodies += 1;
        const sum = Number(await readMeta(queries, "sum"));
        await writeMeta(queries, "sum", String(sum + 1));
      });
    await Promise.all(both.flatMap(store => Array.from({ length: 20 }, () => addOne(store))));
    expect(await readMeta((await open()).queries, "sum")).toBe("40");
    expect(bodies).toBeGreaterThan(40);
  });

  it("tells the other controllers, not itself, to look at something", async () => {
    const [one, two] = [await open(), await open()];
    const heard: string[] = [];
    two.hints.listen((topic, id = "everything") => heard.push(`${topic} ${id}`));
    one.hints.listen((topic, id) => id !== undefined && expect.fail(`said ${topic} ${id} to itself`));
    // The listener's connection may not be there yet, and a hint may be lost: it is said until it is heard.
    await vi.waitFor(() => {
      one.hints.announce("migration", "m-1");
      expect(heard).toContain("migration m-1");
    }, 10_000);
  });

  it("that is not there is unknown, not a no", async () => {
    await expect(Store.open("postgres://nobody@localhost/none?host=/nonexistent")).rejects.toMatchObject({
      code: "unreachable",
    });
  });

  it("whose server ends in the middle is unknown, and is found again", async () => {
    const store = await open();
    await writeMeta(store.queries, "kept", "yes");
    const cut = store.transaction(async queries => {
      await writeMeta(queries, "kept", "no");
      await cutOthers();
      await writeMeta(queries, "kept", "never");
    });
    await expect(cut).rejects.toMatchObject({ code: "unreachable" });
    expect(await readMeta(store.queries, "kept")).toBe("yes");
  });
});

describe("a PostgreSQL that is not the one that it was", () => {
  it("freezes everything, and is the known one from then on", async () => {
    const first = await open();
    expect(await readFreeze(first.queries)).toBeUndefined();
    await writeMeta(first.queries, "postgres_identity", "system 1, timeline 1");
    expect((await readFreeze((await open()).queries))?.reason).toMatch(/was system 1, timeline 1/);
    await thaw(first.queries);
    expect(await readFreeze((await open()).queries)).toBeUndefined();
  });

  it("is noticed when a connection has to be made anew", async () => {
    const store = await open();
    await writeMeta(store.queries, "postgres_identity", "system 1, timeline 1");
    await cutOthers();
    await vi.waitFor(async () => expect(await readFreeze(store.queries)).toBeDefined(), 20_000);
  });
});

describe("a PostgreSQL that could forget", () => {
  it.each([["synchronous_commit = off"], ["synchronous_commit = local"]])("is refused: %s", async setting => {
    const [name] = new URL(location).pathname.slice(1).split("/");
    await administer(`ALTER DATABASE ${name} SET ${setting}`);
    await expect(Store.open(location)).rejects.toMatchObject({
      code: "unsupported",
      detail: { have: setting, need: "synchronous_commit = on" },
    });
  });
});
