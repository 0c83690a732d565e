/** Pages of servers are cut by the database, and agree with what the rest of the controller says of one server. */

import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { owns } from "../../../controller/policy/policy.js";
import { SERVER_SORT_KEYS, type ServerSelection } from "../../../controller/store/server-selection.js";
import {
  findServerById,
  insertServer,
  listServers,
  type ServerRecord,
  statusOf,
  updateServer,
} from "../../../controller/store/servers.js";
import type { Store } from "../../../controller/store/store.js";
import { Flavor } from "../../../proto/gen/ferry/v1/model.js";
import { openFreshStore } from "../../store-under-test.js";
import { serverRecord } from "./records.js";

const VM_STATES = ["active", "stopped", "resized", "error", "building"];
const TASKS = ["", "resize_prep", "resize_reverting", "powering-on"];
const OWNERS = ["user/ana", "user/bob", "tool"];
const PROJECTS = ["", "blue", "red"];
const NAMES = ["web-1", "web-12", "WEB-1", "we%b_1", "db\\1", "axbxc", "b-1", "aaaa", "a", "web.1"];

/** Every kind several times, with equal times among them. */
const serverOf = (index: number): ServerRecord =>
  serverRecord({
    id: `${(index * 7919) % 1000}-${index}`,
    name: NAMES[index] ?? `s-${index}`,
    host: `h${index % 3}`,
    flavor: Flavor.fromPartial({ id: String(index % 4), name: `f${index % 4}` }),
    vmState: VM_STATES[index % 5] ?? "",
    taskState: TASKS[index % 4] ?? "",
    powerState: index % 2 === 0 ? "RUNNING" : "SHUTDOWN",
    owner: OWNERS[index % 3] ?? "",
    project: PROJECTS[(index >> 1) % 3] ?? "",
    lockedBy: index % 6 === 0 ? "owner" : "",
    createdAtMs: 1000 + (index >> 2),
    updatedAtMs: 5000 - index,
  });

const SERVERS = Array.from({ length: 60 }, (_, index) => serverOf(index));
let store: Store;
beforeAll(async () => {
  store = await openFreshStore();
  await store.transaction(async queries => {
    for (const server of SERVERS) await insertServer(queries, server);
  });
});
afterAll(() => store.close());

const list = (selection: ServerSelection) => listServers(store.queries, selection);

describe("a selection of servers", () => {
  it("is what its conditions say, of each server by itself", async () => {
    const maybe = <Value>(...values: Value[]) => fc.constantFrom(undefined, ...values);
    const identity = fc.record({
      name: fc.constantFrom("ana", "bob"),
      project: maybe("blue", "red", ""),
    });
    const conditions = fc.record({
      host: maybe("h0", "h1"),
      status: maybe("ACTIVE", "SHUTOFF", "RESIZE", "VERIFY_RESIZE", "REVERT_RESIZE", "ERROR", "BUILD"),
      taskState: maybe("", "resize_prep"),
      flavor: maybe("1", "2", "no"),
      project: maybe("blue", ""),
      tenant: maybe("ana", "red", "tool"),
      locked: maybe(true, false),
      changedSinceMs: maybe(4970),
    });
    await fc.assert(
      fc.asyncProperty(conditions, identity, async (asked, { name, project }) => {
        const viewer = { domain: "ferry", kind: "user" as const, name, role: "member" as const };
        const who = project === undefined ? viewer : { ...viewer, project };
        const found = await list({ ...asked, visibleTo: { owner: `user/${name}`, project } });
        const wanted = SERVERS.filter(server => owns(who, server) && holds(server, asked));
        expect(found.map(({ id }) => id).sort()).toEqual(wanted.map(({ id }) => id).sort());
      }),
      { numRuns: 150 },
    );
  });

  it.each(SERVER_SORT_KEYS.flatMap(key => [[key, false] as const, [key, true] as const]))(
    "by %s (descending: %s) comes page by page as it comes at once",
    async (key, descending) => {
      const order = { key, descending };
      const all = await list({ order });
      expect(all).toHaveLength(SERVERS.length);
      const paged: ServerRecord[] = [];
      for (let marker: string | undefined; paged.length < all.length; marker = paged.at(-1)?.id) {
        const page = await list({ order, marker, limit: 7 });
        expect(page.length).toBeGreaterThan(0);
        paged.push(...page);
      }
      expect(paged.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
    },
  );

  it("is refused behind a marker that the caller cannot see", async () => {
    const other = SERVERS.find(({ owner, project }) => owner === "user/bob" && project === "")?.id ?? "";
    await expect(list({ marker: "nowhere" })).rejects.toThrow("marker [nowhere] not found");
    const visibleTo = { owner: "user/ana", project: undefined };
    await expect(list({ marker: other, visibleTo })).rejects.toThrow("not found");
  });

  it.each([
    ["web-1", ["web-1", "web-12"]],
    ["^web-1$", ["web-1"]],
    ["^web.*1$", ["web-1", "web.1"]],
    ["1$", ["WEB-1", "b-1", "db\\1", "we%b_1", "web-1", "web.1"]],
    ["(a+)+$", []],
    ["e%b_", ["we%b_1"]],
    ["db\\\\1", ["db\\1"]],
    ["^a.*a$", ["aaaa"]],
    ["^a.*b.*c$", ["axbxc"]],
    ["'; DROP TABLE server; --", []],
  ])("by the name %j finds %j", async (name, names) => {
    const found = (await list({ name })).map(server => server.name);
    expect(found.filter(one => NAMES.includes(one)).sort()).toEqual([...names].sort());
  });

  it("by a name costs no more than a name should", async () => {
    const started = performance.now();
    await list({ name: `${".*a".repeat(330)}$` });
    expect(performance.now() - started).toBeLessThan(1_000);
    await expect(list({ name: "a".repeat(5_000) })).rejects.toThrow("5000 characters");
  });
});

describe("a server that was read before", () => {
  it("is the same record until its row changes, whoever changes it", async () => {
    const [id, again] = [SERVERS[3]?.id ?? "", SERVERS[4]?.id ?? ""];
    const [first, other] = [
      await findServerById(store.queries, id),
      await findServerById(store.queries, again),
    ];
    expect(await findServerById(store.queries, id)).toBe(first);
    await store.queries.updateTable("server").set({ power_state: "PAUSED" }).where("id", "=", id).execute();
    expect(await findServerById(store.queries, id)).toMatchObject({ powerState: "PAUSED" });
    expect(await findServerById(store.queries, again)).toBe(other);
    await updateServer(store.queries, id, { powerState: first?.powerState ?? "" }, first?.updatedAtMs ?? 0);
    expect(await findServerById(store.queries, id)).toEqual(first);
  });

  it("cannot be changed by whoever holds it", async () => {
    const server = await findServerById(store.queries, SERVERS[5]?.id ?? "");
    expect(() => Object.assign(server?.flavor ?? {}, { name: "mine" })).toThrow(TypeError);
  });
});

function holds(server: ServerRecord, asked: ServerSelection): boolean {
  const tenant = server.project || server.owner.replace(/^user\//, "");
  const is = <Value>(wanted: Value | undefined, value: Value) => wanted === undefined || wanted === value;
  return (
    is(asked.host, server.host) &&
    is(asked.status, statusOf(server.vmState, server.taskState)) &&
    is(asked.taskState, server.taskState) &&
    is(asked.flavor, server.flavor.id) &&
    (asked.project === undefined || ["", asked.project].includes(server.project)) &&
    is(asked.tenant, tenant) &&
    is(asked.locked, server.lockedBy !== "") &&
    (asked.changedSinceMs === undefined || server.updatedAtMs >= asked.changedSinceMs)
  );
}
