/** The event stream: what is told of a migration, in which order, to whom, and what a reader finds who comes back. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Api } from "../../controller/api/api.js";
import { eventService } from "../../controller/api/event-service.js";
import { SilenceWatch } from "../../controller/fleet/silence-watch.js";
import { Policy } from "../../controller/policy/policy.js";
import { numberNotifications, numbersOf } from "../../controller/store/notifications.js";
import { updateServer } from "../../controller/store/servers.js";
import {
  type Event,
  type EventFilter,
  EventServiceService,
  type WatchEventsResponse,
} from "../../proto/gen/ferry/v1/event.js";
import type { Identity } from "../../proto/identity.js";
import type { Caller, Handlers } from "../../proto/rpc-server.js";
import { Datacenter, WEB } from "../simulation/datacenter.js";
import { closeUnharmed } from "./close-unharmed.js";

let center: Datacenter;
let leaving: AbortController;
beforeEach(async () => {
  center = await Datacenter.open();
  leaving = new AbortController();
});
afterEach(async () => {
  leaving.abort();
  await closeUnharmed(center);
});

const ADMIN: Identity = { kind: "user", name: "root", domain: "test", role: "admin" };
const member = (name: string, project?: string): Identity => ({
  kind: "user",
  name,
  domain: "test",
  role: "member",
  ...(project === undefined ? {} : { project }),
});

const service = () => {
  const { store, clock } = center;
  const api = { store, clock, servers: center.controller.servers, policy: new Policy() };
  return eventService(api as unknown as Api).handlers as unknown as Handlers<typeof EventServiceService>;
};
const caller = (identity: Identity, method: "listEvents" | "watchEvents"): Caller => ({
  identity,
  path: EventServiceService[method].path,
  signal: leaving.signal,
});

const filterOf = (filter: Partial<EventFilter>): EventFilter => ({
  server: "",
  migration: "",
  host: "",
  type: "",
  ...filter,
});
const number = (kept = 10_000) => numberNotifications(center.store, kept);

async function list(filter: Partial<EventFilter> = {}, identity = ADMIN, after = 0): Promise<Event[]> {
  await number();
  const request = { filter: filterOf(filter), after, limit: 0 };
  return (await service().listEvents(request, caller(identity, "listEvents"))).events;
}
const typesOf = (events: readonly Event[]) => events.map(({ type, host }) => `${type} ${host}`.trim());

const MOVE = [
  "scheduler.select_destinations.start",
  "scheduler.select_destinations.end",
  "instance.resize_prep.start h2",
  "instance.resize_prep.end h2",
  "instance.resize.start h1",
  "instance.resize.end h1",
  "instance.resize_finish.start h2",
  "instance.resize_finish.end h2",
];

describe("the events of a migration", () => {
  it("are Nova's, each where it happened, with the request that asked for it", async () => {
    const { id } = await center.migrate();
    await center.rest();
    await center.controller.migrations.confirm(WEB, "ada");
    await center.ended();
    const events = await list({ migration: id });
    expect(typesOf(events)).toEqual([
      ...MOVE,
      "instance.resize_confirm.start h1",
      "instance.resize_confirm.end h1",
    ]);
    const [confirmed, asked] = await center.controller.servers.actions(WEB);
    expect([...new Set(events.map(({ requestId }) => requestId))]).toEqual([
      asked?.requestId,
      confirmed?.requestId,
    ]);
    expect(events.map(({ serverStatus }) => serverStatus).slice(-3)).toEqual([
      "VERIFY_RESIZE",
      "VERIFY_RESIZE",
      "ACTIVE",
    ]);
  });

  it("tell a revert", async () => {
    const { id } = await center.migrate();
    await center.rest();
    await center.controller.migrations.revert(WEB, { discardWrites: true, requestedBy: "ada" });
    await center.ended();
    expect(typesOf(await list({ migration: id, type: "instance.resize_revert" }))).toEqual([
      "instance.resize_revert.start h2",
      "instance.resize_revert.end h1",
    ]);
  });

  it("tell why it was taken back, and each host that refused", async () => {
    const refusal = { code: "refused", message: "no bridge br7", have: "", need: "", fix: "", host: "" };
    for (const host of ["h2", "h3"]) center.agents.agent(host).refusals = [refusal];
    const { id } = await center.migrate("");
    await center.ended();
    const told = (await list({ migration: id })).filter(({ fault }) => fault !== undefined);
    expect(typesOf(told)).toEqual([
      "instance.resize_prep.error h2",
      "instance.resize.error",
      "migration.unwound h1",
    ]);
    expect(told[0]?.fault?.message).toBe("no bridge br7");
    expect(told[1]?.fault?.message).toMatch(/No valid host was found\. .*br7.*br7/);
  });
});

it("what is asked of a server without a migration is told as Nova does", async () => {
  const done = center.controller.servers.stopServer(WEB, { requestedBy: "ada" });
  await center.passTime(async () => (await center.server()).status === "SHUTOFF");
  await done;
  await center.controller.servers.lock(WEB, { as: "owner", reason: "mine", requestedBy: "ada" });
  const events = (await list({ server: WEB })).filter(({ type }) => !type.startsWith("instance.adopt"));
  expect(typesOf(events)).toEqual([
    "instance.power_off.start h1",
    "instance.power_off.end h1",
    "instance.lock",
  ]);
  expect(new Set(events.slice(0, 2).map(({ requestId }) => requestId)).size).toBe(1);
});

it("hosts tell when they come, and when they may take servers no more", async () => {
  await center.controller.fleet.setStatus("h2", false, "new fans");
  expect((await list({ host: "h2" })).map(({ type, message }) => `${type} ${message}`.trim())).toEqual([
    "service.create",
    "service.update disabled: new fans",
  ]);
});

it("hosts tell once that they are not heard any more, and that they are heard again, whoever looks", async () => {
  const { store, clock } = center;
  const told: string[] = [];
  const watches = [1, 2].map(
    () => new SilenceWatch({ store, clock, onSilent: host => void told.push(host) }),
  );
  const passTime = async (seconds: number) => {
    for (let passed = 0; passed < seconds; passed += 5) {
      await center.elapse(5_000);
      for (const watch of watches) await watch.look();
    }
  };
  await passTime(30);
  center.agents.agent("h2").isReachable = false;
  await passTime(60);
  expect(told).toEqual(["h2"]);
  center.agents.agent("h2").isReachable = true;
  await passTime(30);
  expect((await list({ host: "h2", type: "service.update" })).map(({ message }) => message)).toEqual([
    "down: not heard for 15 s",
    "up: heard again after 65 s",
  ]);
  expect(await list({ host: "h3", type: "service.update" })).toEqual([]);
});

it("a host that was removed and comes back is one that nobody has waited for", async () => {
  const { store, clock } = center;
  const told: string[] = [];
  const watch = new SilenceWatch({ store, clock, onSilent: host => void told.push(host) });
  const { queries } = store;
  const row = await queries.selectFrom("host").selectAll().where("name", "=", "h3").executeTakeFirstOrThrow();
  const look = async () => {
    clock.advance(10_000);
    await watch.look();
  };
  await look();
  await queries.deleteFrom("inventory").where("host", "=", "h3").execute();
  await queries.deleteFrom("host").where("name", "=", "h3").execute();
  await look();
  await queries.insertInto("host").values(row).execute();
  await look();
  expect(told).not.toContain("h3");
});

describe("whoever follows", () => {
  const follow = async (after: number, count: number, identity = ADMIN) => {
    const request = { filter: filterOf({}), after };
    const seen: WatchEventsResponse[] = [];
    for await (const message of service().watchEvents(request, caller(identity, "watchEvents"))) {
      seen.push(message);
      if (seen.length === count) break;
    }
    return seen;
  };

  it("goes on behind the last event that was seen, and misses none", async () => {
    await center.migrate();
    await center.rest();
    const all = await list();
    expect(all.map(event => event.number)).toEqual(all.map((_, index) => index + 1));
    const [first, second] = [await follow(0, 5), await follow(5, all.length - 5)];
    expect([...first, ...second].map(({ event }) => event)).toEqual(all);
  });

  it("is told how much is not kept any more", async () => {
    await center.migrate();
    await center.rest();
    const all = await list();
    await number();
    await center.controller.fleet.setStatus("h3", false, "");
    await number(4);
    expect(await numbersOf(center.store.queries)).toEqual({
      oldest: all.length - 2,
      newest: all.length + 1,
    });
    const [gap, next] = await follow(2, 2);
    expect(gap).toEqual({ event: undefined, lost: all.length - 2 - 1 - 2 });
    expect(next?.event?.number).toBe(all.length - 2);
  });

  it("is refused a number that was never given: the store is older than the reader", async () => {
    await number();
    await expect(follow(1_000, 1)).rejects.toThrow("there is no event 1000 yet");
  });

  it("sees nothing of what is another project's, and nothing of hosts", async () => {
    const server = await center.server();
    await updateServer(center.store.queries, server.id, { owner: "user/ada", project: "blue" }, 0);
    await center.migrate();
    await center.rest();
    expect(typesOf(await list({}, member("bob", "blue")))).toEqual(MOVE);
    expect(await list({}, member("bob", "red"))).toEqual([]);
    expect(await list({}, member("bob"))).toEqual([]);
    expect(typesOf(await list({}, member("ada")))).toEqual(MOVE);
    await expect(list({ server: WEB }, member("bob", "red"))).rejects.toThrow(
      "Instance web could not be found.",
    );
  });
});
