/** Who changed what belongs to no server: kept, found again, and asked of a store that was made before there was such a table. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterEach, beforeEach, expect, it } from "vitest";
import { insertAction, listActionsOn } from "../../../controller/store/actions.js";
import { endChange, insertChange, listChanges } from "../../../controller/store/change-log.js";
import { writeMeta } from "../../../controller/store/meta.js";
import { Store } from "../../../controller/store/store.js";
import { freshLocation, isOnPostgres } from "../../store-under-test.js";

let folder: string;
let location: string;
let store: Store;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "ferry-changes-"));
  location = isOnPostgres() ? await freshLocation() : join(folder, "ferry.db");
  store = await Store.open(location);
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const change = (id: string, atMs: number, requestedBy = "user/ada") => ({
  id,
  atMs,
  requestedBy,
  project: "blue",
  requestId: `req-${id}`,
  method: "SetHostStatus",
  subject: "h1",
  asked: '{"name":"h1"}',
  endedAtMs: 0,
  fault: undefined,
});
const EVERYTHING = { requestedBy: "", subject: "", limit: 10 };
const ids = async (selection: Partial<typeof EVERYTHING>) =>
  (await listChanges(store.queries, { ...EVERYTHING, ...selection })).map(({ id }) => id);

it("is listed newest first, by who asked and what it was about", async () => {
  for (const one of [change("a", 1), change("b", 3, "user/bob"), change("c", 2)])
    await insertChange(store.queries, one);
  expect(await ids({})).toEqual(["b", "c", "a"]);
  expect(await ids({ requestedBy: "user/ada" })).toEqual(["c", "a"]);
  expect(await ids({ subject: "h2" })).toEqual([]);
  expect(await ids({ limit: 1 })).toEqual(["b"]);
});

it("has no end until it is told", async () => {
  await insertChange(store.queries, change("a", 1));
  expect(await listChanges(store.queries, EVERYTHING)).toEqual([change("a", 1)]);
  const fault = { code: "refused", message: "no", have: "", need: "", fix: "", host: "" };
  await endChange(store.queries, "a", 5, fault);
  expect(await listChanges(store.queries, EVERYTHING)).toEqual([{ ...change("a", 1), endedAtMs: 5, fault }]);
});

it("is there in a store of schema version 14, beside what was recorded by then", async () => {
  const asked = {
    serverId: "s",
    requestId: "req-1",
    requestDigest: "d",
    action: "migrate",
    requestedBy: "user/ada",
  };
  const how = {
    project: "",
    migrationId: "m",
    host: "",
    detail: "",
    startedAtMs: 1,
    endedAtMs: 0,
    fault: undefined,
  };
  await insertAction(store.queries, { ...asked, ...how });
  for (const undo of ["DROP TABLE change", "ALTER TABLE action DROP COLUMN detail"])
    await sql.raw(undo).execute(store.queries);
  await writeMeta(store.queries, "schema_version", "14");
  await store.close();
  store = await Store.open(location);
  expect(await listActionsOn(store.queries, "s", "m")).toEqual([{ ...asked, ...how }]);
  await insertChange(store.queries, change("a", 1));
  expect(await ids({})).toEqual(["a"]);
});
