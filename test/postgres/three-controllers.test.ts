/** Three controllers, twenty servers that move at the same time, and one controller that dies or freezes on the way. */

import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listAllocations } from "../../controller/store/allocations.js";
import { Store } from "../../controller/store/store.js";
import {
  AdoptServerRequest,
  HostServiceService,
  ListMigrationsRequest,
  MigrateServerRequest,
  MigrationServiceService,
  ServerServiceService,
} from "../../proto/gen/ferry/v1/controller.js";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { call } from "../../proto/rpc-client.js";
import { waitFor } from "../lab/lab.js";
import { freshLocation } from "../store-under-test.js";
import { type Asked, Controllers, LEASE_SECONDS } from "./controllers.js";

const NAMES = ["c1", "c2", "c3"];
const HOSTS = ["h1", "h2", "h3", "h4"];
const SERVERS = Array.from({ length: 20 }, (_, index) => `vm-${index}`);
const DEADLINE_MS = 120_000;

let location: string;
let controllers: Controllers;

const client = (name: string) => controllers.get(name).client;
const nameFor = (index: number) => NAMES[index % NAMES.length] ?? "";

beforeEach(async () => {
  location = await freshLocation();
  controllers = await Controllers.start(location, NAMES, HOSTS);
  for (const name of NAMES)
    await waitFor(() => hearsAll(name), { deadlineMs: DEADLINE_MS, what: `${name} learns of every host` });
  for (const server of SERVERS) makeDomain(server);
  await Promise.all(SERVERS.map((domain, index) => adopt(nameFor(index), domain)));
});
afterEach(() => controllers?.stop());

function makeDomain(server: string): void {
  const { host } = controllers.fleet.agent("h1");
  const incarnation = `${server}:0`;
  host.domains.set(server, { incarnation, vcpus: 1, state: "RUNNING" });
  host.files.set(`${incarnation}/vda/0`, {
    digest: `of-${server}`,
    path: `/images/${server}.qcow2`,
    aside: false,
  });
}

async function hearsAll(name: string): Promise<boolean> {
  const { hosts } = await call(client(name), HostServiceService.listHosts, {});
  return hosts.length === HOSTS.length && hosts.every(({ state }) => state === "up");
}

const adopt = (name: string, domain: string) =>
  call(
    client(name),
    ServerServiceService.adoptServer,
    AdoptServerRequest.fromPartial({ host: "h1", domain }),
  );

/** Each move is asked for under the same id, however often. */
const requestIds = new Map(SERVERS.map(server => [server, randomUUID()]));

async function migrate(name: string, server: string): Promise<string | undefined> {
  const request = MigrateServerRequest.fromPartial({ server, requestId: requestIds.get(server) });
  return (await call(client(name), ServerServiceService.migrateServer, request)).migration?.id;
}

/** The same request at two controllers begins one migration, and both answer it. */
async function atTwoAtOnce(server: string, index: number): Promise<string | undefined> {
  const [one, other] = await Promise.all([
    migrate(nameFor(index), server),
    migrate(nameFor(index + 1), server),
  ]);
  expect(other).toBe(one);
  return one;
}

async function migrations(name: string): Promise<Migration[]> {
  const everything = ListMigrationsRequest.fromPartial({ limit: 1_000 });
  return (await call(client(name), MigrationServiceService.listMigrations, everything)).migrations;
}

async function untilAll(name: string, status: string): Promise<Migration[]> {
  let seen: Migration[] = [];
  await waitFor(
    async () => {
      seen = await migrations(name);
      return seen.length === SERVERS.length && seen.every(migration => migration.status === status);
    },
    { deadlineMs: DEADLINE_MS, what: `all are ${status}` },
  ).catch((error: unknown) => {
    const standing = seen.map(({ serverName, status: at, step }) => `${serverName}: ${at} ${step}`);
    throw new Error(`${String(error)}\n${standing.join("\n")}`);
  });
  return seen;
}

/** Where each server really runs, and whether its disk is what it was. */
function whereabouts(): Map<string, string> {
  const found = new Map<string, string>();
  for (const { host } of controllers.fleet.agents.values()) {
    for (const [server, { state, incarnation }] of host.domains) {
      if (state !== "RUNNING") continue;
      expect(found.get(server), `${server} runs on two hosts`).toBeUndefined();
      expect(host.files.get(`${incarnation}/vda/0`)?.digest).toBe(`of-${server}`);
      found.set(server, host.name);
    }
  }
  return found;
}

async function expectAllMoved(name: string): Promise<void> {
  const finished = await untilAll(name, "finished");
  const places = whereabouts();
  for (const { serverId, targetHost } of finished) expect(places.get(serverId)).toBe(targetHost);
  expect(controllers.breaches).toEqual([]);
}

/**
 * Waits until nothing that is under way is that controller's any more. When others had taken the first and the last of it,
 * counted from the end of its lease: by the clock of this machine, which the database has too.
 */
async function takenOver(name: string): Promise<{ firstMs: number; lastMs: number }> {
  const store = await Store.open(location);
  const countOwned = async () => {
    const live = store.queries.selectFrom("saga").select("id").where("live", "=", 1);
    return (await live.where("owner", "like", `${name}%`).execute()).length;
  };
  const lease = store.queries.selectFrom("process").select("until_ms").where("owner", "like", `${name}%`);
  try {
    const [{ until_ms }, all] = [await lease.executeTakeFirstOrThrow(), await countOwned()];
    expect(all).toBeGreaterThan(0);
    while ((await countOwned()) === all) await delay(20);
    const firstMs = Date.now() - until_ms;
    while ((await countOwned()) > 0) await delay(20);
    return { firstMs, lastMs: Date.now() - until_ms };
  } finally {
    await store.close();
  }
}

/** Exactly a booking of the server on its target and of the migration on its source, for each. */
async function bookings(): Promise<Set<string>> {
  const store = await Store.open(location);
  try {
    const all = await listAllocations(store.queries);
    return new Set(all.map(({ consumer, host }) => `${consumer} ${host}`));
  } finally {
    await store.close();
  }
}

/** By the hosts that have heard of whoever took over: whatever it would ask now, for what reason ever, is too late. */
async function expectRefused(said: readonly Asked[]): Promise<void> {
  const late = said.filter(hasSuccessor);
  expect(late.length).toBeGreaterThan(0);
  for (const { host, request } of late) {
    const anew = { ...request, key: `${request.key}:late` };
    const asking = controllers.fleet.perform(host, anew, { signal: new AbortController().signal });
    await expect(asking).rejects.toThrow(/^term \d+ is older/);
  }
}

const isOfMigrationBy =
  (name: string) =>
  ({ controller, request }: Asked): boolean =>
    controller === name && request.migrationId !== "";

const hasSuccessor = ({ host, request: { migrationId } }: Asked): boolean =>
  controllers.asked.some(
    other => other.controller !== "c1" && other.host === host && other.request.migrationId === migrationId,
  );

describe("of three controllers on one store", { timeout: 2 * DEADLINE_MS }, () => {
  it("one that is killed is succeeded, and every migration ends as if nothing had been", async () => {
    const begun = await Promise.all(SERVERS.map((server, index) => atTwoAtOnce(server, index)));
    await controllers.kill("c1");
    const { firstMs, lastMs } = await takenOver("c1");
    await expectAllMoved("c2");
    expect(await Promise.all(SERVERS.map(server => migrate("c3", server)))).toEqual(begun);
    const finished = await migrations("c3");
    const expected = finished.flatMap(({ id, serverId, sourceHost, targetHost }) => [
      `${id} ${sourceHost}`,
      `${serverId} ${targetHost}`,
    ]);
    expect(await bookings()).toEqual(new Set(expected));
    console.log(`took over from ${firstMs} to ${lastMs} ms after the lease had run out`);
    // Nobody before; then somebody looks once a second, and nobody waits for another lease.
    expect(firstMs).toBeGreaterThanOrEqual(0);
    expect(lastMs).toBeLessThan(LEASE_SECONDS * 1000);
  });

  it("one that freezes is succeeded, and what it says when it thaws is refused", async () => {
    await Promise.all(SERVERS.map((server, index) => migrate(nameFor(index), server)));
    const { process: frozen } = controllers.get("c1");
    const said = () => controllers.asked.filter(isOfMigrationBy("c1"));
    await waitFor(async () => said().some(({ request }) => request.verb?.$case === "sendDisks"), {
      deadlineMs: DEADLINE_MS,
      what: "c1 is amid a copy",
    });
    frozen.kill("SIGSTOP");
    await expectAllMoved("c2");
    await expectRefused(said());
    frozen.kill("SIGCONT");
    await waitFor(async () => frozen.exitCode !== null, {
      deadlineMs: DEADLINE_MS,
      what: "the thawed one ends itself",
    });
    await expectAllMoved("c3");
  });

  it("any one decides about a migration that another one carried out", async () => {
    const [server = ""] = SERVERS;
    await migrate("c1", server);
    await waitFor(async () => (await migrations("c2")).some(({ status }) => status === "finished"), {
      deadlineMs: DEADLINE_MS,
      what: "it is finished",
    });
    await call(client("c3"), ServerServiceService.confirmServer, { server, migration: "" });
    await waitFor(async () => (await migrations("c1")).some(({ status }) => status === "confirmed"), {
      deadlineMs: DEADLINE_MS,
      what: "it is confirmed",
    });
    expect(controllers.breaches).toEqual([]);
  });
});
