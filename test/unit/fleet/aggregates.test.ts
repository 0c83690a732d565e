/** Aggregates, zones and groups on a real store: Nova's rules about them. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Aggregates } from "../../../controller/fleet/aggregates.js";
import { Fleet } from "../../../controller/fleet/fleet.js";
import { ServerGroups } from "../../../controller/fleet/server-groups.js";
import type { Store } from "../../../controller/store/store.js";
import { HeartbeatRequest } from "../../../proto/gen/ferry/v1/controller.js";
import { VirtualClock } from "../../simulation/virtual-clock.js";
import { openFreshStore } from "../../store-under-test.js";

let store: Store;
let fleet: Fleet;
let aggregates: Aggregates;
let groups: ServerGroups;
beforeEach(async () => {
  store = await openFreshStore();
  const clock = new VirtualClock();
  let ids = 0;
  const deps = { store, clock, newId: () => `id-${++ids}` };
  fleet = new Fleet({ store, clock });
  aggregates = new Aggregates({ ...deps, isAvailable: host => fleet.isAvailable(host) });
  groups = new ServerGroups(deps);
  for (const host of ["h1", "h2"])
    await fleet.heartbeat(HeartbeatRequest.fromPartial({ host, installId: host }));
});
afterEach(() => store.close());

describe("an aggregate", () => {
  it("is numbered, has a name of its own, and is found by either", async () => {
    const made = await aggregates.create("fast", "", { ssd: "true" });
    expect(made).toMatchObject({ id: 1, name: "fast", metadata: { ssd: "true" }, hosts: [] });
    expect(await aggregates.show("1")).toEqual(made);
    await expect(aggregates.create("fast", "")).rejects.toThrow("Aggregate fast already exists.");
    await expect(aggregates.show("slow")).rejects.toThrow("Aggregate slow could not be found.");
  });

  it("is not deleted while it has hosts", async () => {
    await aggregates.create("fast", "");
    await aggregates.addHost("fast", "h1");
    await expect(aggregates.delete("fast")).rejects.toThrow(/Host aggregate is not empty/);
    await aggregates.removeHost("fast", "h1");
    await aggregates.delete("fast");
    expect(await aggregates.list()).toEqual([]);
  });

  it("sets and unsets metadata, the zone included", async () => {
    await aggregates.create("fast", "", { old: "1" });
    const set = await aggregates.setMetadata("fast", { ssd: "true", availability_zone: "east" }, ["old"]);
    expect(set).toMatchObject({ metadata: { ssd: "true" }, availabilityZone: "east" });
    expect(await aggregates.setMetadata("fast", {}, ["availability_zone"])).toMatchObject({
      availabilityZone: "",
    });
  });

  it("takes a host once, and only one that there is", async () => {
    await aggregates.create("fast", "");
    await aggregates.addHost("fast", "h1");
    await expect(aggregates.addHost("fast", "h1")).rejects.toThrow(/already has host h1/);
    await expect(aggregates.addHost("fast", "h9")).rejects.toThrow("Compute host h9 could not be found.");
  });
});

describe("an availability zone", () => {
  it("is that of a host's aggregate, nova without one", async () => {
    await aggregates.create("room", "east");
    await aggregates.addHost("room", "h1");
    expect((await fleet.list()).map(host => host.availabilityZone)).toEqual(["east", "nova"]);
    expect(await aggregates.zones()).toEqual([
      { name: "east", hosts: ["h1"], available: true },
      { name: "nova", hosts: ["h2"], available: true },
    ]);
  });

  it("is one only for a host", async () => {
    await aggregates.create("room", "east");
    await aggregates.addHost("room", "h1");
    await aggregates.create("other", "west");
    await expect(aggregates.addHost("other", "h1")).rejects.toThrow(/different availability zone/);
    await aggregates.create("fast", "");
    await aggregates.addHost("fast", "h1");
    await expect(aggregates.update("fast", { availabilityZone: "west" })).rejects.toThrow(
      /different availability zone/,
    );
  });

  it("is set in one word, and moved, by the aggregate of its name", async () => {
    await aggregates.setZone("h1", "east");
    await aggregates.setZone("h1", "east");
    await aggregates.setZone("h1", "west");
    expect((await aggregates.list()).map(({ name, hosts }) => [name, hosts])).toEqual([
      ["east", []],
      ["west", ["h1"]],
    ]);
    await aggregates.setZone("h1", "");
    expect((await fleet.show("h1")).availabilityZone).toBe("nova");
  });

  it("cannot have a colon in its name, because that separates zone, host and node", async () => {
    await expect(aggregates.setZone("h1", "east:h1")).rejects.toThrow(/no name for an availability zone/);
  });
});

describe("the generation of a host", () => {
  it("is raised by what the scheduler can see: aggregates, zones, traits", async () => {
    const generation = async () =>
      (await store.queries.selectFrom("host").select("generation").where("name", "=", "h1").execute())[0]
        ?.generation ?? -1;
    await aggregates.create("fast", "");
    const steps: (() => Promise<unknown>)[] = [
      () => aggregates.addHost("fast", "h1"),
      () => aggregates.setMetadata("fast", { ssd: "true" }),
      () => fleet.changeTraits("h1", ["CUSTOM_GOLD"], []),
      () => fleet.setStatus("h1", false),
      () => aggregates.removeHost("fast", "h1"),
    ];
    for (const step of steps) {
      const before = await generation();
      await step();
      expect(await generation()).toBeGreaterThan(before);
    }
  });
});

describe("traits", () => {
  it("are given and taken, and are upper case", async () => {
    await fleet.changeTraits("h1", ["CUSTOM_GOLD", "CUSTOM_B"], []);
    await fleet.changeTraits("h1", [], ["CUSTOM_B"]);
    expect((await fleet.show("h1")).traits).toEqual(["CUSTOM_GOLD"]);
    await expect(fleet.changeTraits("h1", ["gold"], [])).rejects.toThrow(/"gold" is no trait/);
  });
});

describe("a server group", () => {
  it("has one of four policies, and a limit only with anti-affinity", async () => {
    const group = { name: "db", owner: "user/ana", maxServerPerHost: 0 };
    expect(await groups.create({ ...group, policy: "anti-affinity" })).toMatchObject({ maxServerPerHost: 1 });
    await expect(groups.create({ ...group, policy: "together" })).rejects.toThrow(/no policy/);
    await expect(groups.create({ ...group, policy: "affinity", maxServerPerHost: 2 })).rejects.toThrow(
      /anti-affinity only/,
    );
  });

  it("is not guessed when two have the name", async () => {
    const group = { name: "db", owner: "user/ana", maxServerPerHost: 0, policy: "affinity" };
    const { id } = await groups.create(group);
    await groups.create(group);
    await expect(groups.show("db")).rejects.toThrow(/more than one/);
    expect(await groups.show(id)).toMatchObject({ id });
  });
});
