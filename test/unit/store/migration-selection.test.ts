/** Pages of migrations are cut by the database. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrationView } from "../../../controller/api/nova/views/migration-view.js";
import type { MigrationSelection } from "../../../controller/store/migration-selection.js";
import {
  insertMigration,
  listBriefMigrations,
  listMigrations,
  type MigrationRecord,
  migrationMessage,
} from "../../../controller/store/migrations.js";
import { insertServer } from "../../../controller/store/servers.js";
import type { Store } from "../../../controller/store/store.js";
import { openFreshStore } from "../../store-under-test.js";
import { migrationRecord, serverRecord } from "./records.js";

const STATES: Partial<MigrationRecord>[] = [
  { status: "" },
  { status: "migrating" },
  { status: "migrating", stuck: true, step: "copy-disks" },
  { status: "confirming", stuck: true, step: "retire-source" },
  { status: "confirmed" },
];

let store: Store;
let all: MigrationRecord[];
beforeAll(async () => {
  store = await openFreshStore();
  await store.transaction(async queries => {
    await insertServer(queries, serverRecord({ id: "s0", owner: "user/ana", project: "blue" }));
    for (let index = 0; index < 30; index += 1) {
      const state = STATES[index % STATES.length];
      const where = {
        serverId: `s${index % 4}`,
        sourceHost: `h${index % 3}`,
        targetHost: `h${(index + 1) % 3}`,
      };
      const who = {
        requestedBy: index % 2 === 0 ? "user/ana" : "user/bob",
        project: index % 5 === 0 ? "red" : "",
      };
      const notes = ["a long one"];
      const record = migrationRecord({
        id: `m${index}`,
        ...state,
        ...where,
        ...who,
        notes,
        updatedAtMs: index,
      });
      await insertMigration(queries, record);
    }
  });
  all = await listMigrations(store.queries);
});
afterAll(() => store.close());

const idsOf = async (selection: MigrationSelection) =>
  (await listMigrations(store.queries, selection)).map(({ id }) => id);
const idsWhere = (holds: (record: MigrationRecord) => boolean) => all.filter(holds).map(({ id }) => id);

describe("a selection of migrations", () => {
  it("comes page by page as it comes at once, newest first", async () => {
    expect(all.map(({ id }) => id)).toEqual(Array.from({ length: 30 }, (_, index) => `m${29 - index}`));
    const paged: string[] = [];
    for (let marker: string | undefined; paged.length < 30; marker = paged.at(-1))
      paged.push(...(await idsOf({ marker, limit: 7 })));
    expect(paged).toEqual(all.map(({ id }) => id));
    await expect(idsOf({ marker: "nowhere" })).rejects.toThrow("marker [nowhere] not found");
  });

  it.each(["pre-migrating", "migrating", "post-migrating", "confirming", "confirmed"])(
    "by Nova's status %s is of those that are shown so",
    async novaStatus => {
      const request = {
        version: 80,
        identity: { kind: "user", name: "ana", domain: "f" },
        origin: "",
      } as never;
      const shown = (record: MigrationRecord) =>
        (migrationView(request, migrationMessage(record)) as { status: string }).status;
      const found = await idsOf({ novaStatus });
      expect(found).toEqual(idsWhere(record => shown(record) === novaStatus));
      expect(found.length).toBeGreaterThan(0);
    },
  );

  it("is what its other conditions say", async () => {
    expect(await idsOf({ host: "h1" })).toEqual(
      idsWhere(({ sourceHost, targetHost }) => [sourceHost, targetHost].includes("h1")),
    );
    expect(await idsOf({ status: "stuck" })).toEqual(idsWhere(({ stuck }) => stuck));
    expect(await idsOf({ sourceHost: "h1", requestedBy: "user/ana" })).toEqual(
      idsWhere(({ sourceHost, requestedBy }) => sourceHost === "h1" && requestedBy === "user/ana"),
    );
    expect(await idsOf({ changedSinceMs: 10, changedUntilMs: 12 })).toEqual(["m12", "m11", "m10"]);
  });

  it("of a project is of its servers, and of what it asked for", async () => {
    expect(await idsOf({ visibleTo: { owner: "user/x", project: "blue" } })).toEqual(
      idsWhere(({ serverId }) => serverId === "s0"),
    );
    expect(await idsOf({ visibleTo: { owner: "user/x", project: "red" } })).toEqual(
      idsWhere(({ project }) => project === "red"),
    );
  });

  it("in brief is the same without what is long", async () => {
    const brief = await listBriefMigrations(store.queries, { host: "h1" });
    const whole = await listMigrations(store.queries, { host: "h1" });
    expect(brief).toEqual(whole.map(record => ({ ...record, notes: [] })));
  });
});
