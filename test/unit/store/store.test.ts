import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeMeta } from "../../../controller/store/meta.js";
import { appendLine, insertSaga, readJournal } from "../../../controller/store/sagas.js";
import { Store } from "../../../controller/store/store.js";
import { openFreshStore } from "../../store-under-test.js";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ferry-store-"));
  path = join(folder, "ferry.db");
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("a store", () => {
  it("belongs to one controller", async () => {
    const first = await Store.open(path);
    await expect(Store.open(path)).rejects.toMatchObject({ code: "conflict" });
    await first.close();
    await (await Store.open(path)).close();
  });

  it("of a newer Ferry is refused", async () => {
    const store = await Store.open(path);
    await writeMeta(store.queries, "schema_version", "99");
    await store.close();
    await expect(Store.open(path)).rejects.toMatchObject({
      code: "unsupported",
      detail: { have: "schema version 99" },
    });
  });

  it("keeps what was committed, and nothing of what was not", async () => {
    const store = await Store.open(path);
    await store.transaction(queries => writeMeta(queries, "kept", "yes"));
    const failing = store.transaction(async queries => {
      await writeMeta(queries, "kept", "no");
      throw new Error("changed my mind");
    });
    await expect(failing).rejects.toThrow("changed my mind");
    await store.close();
    const again = await Store.open(path);
    expect(await again.queries.selectFrom("meta").selectAll().where("key", "=", "kept").execute()).toEqual([
      { key: "kept", value: "yes" },
    ]);
    await again.close();
  });
});

describe("a saga's journal", () => {
  const guard = { id: "m", owner: "one", epoch: 2, length: 0 };
  const line = { line: "{}", atMs: 1, epoch: 2, live: true };
  let store: Store;
  beforeEach(async () => {
    store = await openFreshStore();
    await insertSaga(store.queries, { id: "m", kind: "test", input: "{}", owner: "one", epoch: 2, term: 1 });
  });
  afterEach(() => store.close());

  it("takes a line from its owner", async () => {
    expect(await appendLine(store.queries, guard, line)).toBe(true);
    expect(await readJournal(store.queries, "m")).toEqual([{ line: "{}", atMs: 1 }]);
  });

  it.each([
    ["another owner", { owner: "two" }],
    ["an older epoch", { epoch: 1 }],
    ["a writer who has not read the last line", { length: 1 }],
  ])("takes none from %s", async (_who, changes) => {
    expect(await appendLine(store.queries, { ...guard, ...changes }, line)).toBe(false);
    expect(await readJournal(store.queries, "m")).toEqual([]);
  });
});
