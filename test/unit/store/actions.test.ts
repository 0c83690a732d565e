/** What is recorded of a request that has its caller's id: once, for whichever server. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type ActionRecord, findRequested, insertAction } from "../../../controller/store/actions.js";
import { Store } from "../../../controller/store/store.js";
import { freshLocation, isOnPostgres, openFreshStore } from "../../store-under-test.js";

let store: Store;
beforeEach(async () => {
  store = await openFreshStore();
});
afterEach(() => store.close());

const action = (changes: Partial<ActionRecord>): ActionRecord => ({
  serverId: "s",
  requestId: "req-1",
  requestDigest: "d",
  action: "migrate",
  requestedBy: "user/ada",
  project: "",
  migrationId: "m",
  detail: "",
  host: "",
  startedAtMs: 1,
  endedAtMs: 0,
  fault: undefined,
  ...changes,
});
const record = (changes: Partial<ActionRecord> = {}) =>
  store.transaction(queries => insertAction(queries, action(changes)));

it("of several that record the same request at once, for one server or another, one does", async () => {
  const attempts = ["s", "s", "t", "u"].map(serverId =>
    record({ serverId, migrationId: `m of ${serverId}` }),
  );
  const outcomes = await Promise.allSettled(attempts);
  const refusals = outcomes.filter(outcome => outcome.status === "rejected");
  expect(refusals.map(({ reason }) => (reason as Error).message)).toEqual(
    Array(3).fill("request req-1 has been begun already"),
  );
  const { migrationId = "", serverId } = (await findRequested(store.queries, "req-1")) ?? {};
  expect(migrationId).toBe(`m of ${serverId}`);
});

it("what was asked is known when the store is opened again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ferry-actions-"));
  const location = isOnPostgres() ? await freshLocation() : join(folder, "ferry.db");
  try {
    const before = await Store.open(location);
    await before.transaction(queries => insertAction(queries, action({})));
    await before.close();
    await using after = await opened(location);
    expect(await findRequested(after.store.queries, "req-1")).toEqual(action({}));
    const again = after.store.transaction(queries => insertAction(queries, action({ serverId: "t" })));
    await expect(again).rejects.toMatchObject({ code: "conflict" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

async function opened(location: string) {
  const again = await Store.open(location);
  return { store: again, [Symbol.asyncDispose]: () => again.close() };
}

it("a request without an id of the caller's is never taken for another one", async () => {
  await record({ requestDigest: "" });
  await record({ requestDigest: "", serverId: "t" });
  expect(await findRequested(store.queries, "req-1")).toBeUndefined();
});
