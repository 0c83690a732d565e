/**
 * Nova's functional scenarios about where a server may go, in its names, over the whole controller: groups, zones,
 * aggregates, alternates, targeted moves, doubled bookings. Where Nova leaves a server in ERROR, it is as it was here.
 */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Aggregates } from "../../controller/fleet/aggregates.js";
import { ServerGroups } from "../../controller/fleet/server-groups.js";
import { auditPlacement } from "../../controller/placement/audit.js";
import { insertFlavor } from "../../controller/store/flavors.js";
import { Fault } from "../../proto/fault.js";
import { CreateServerRequest } from "../../proto/gen/ferry/v1/controller.js";
import { Flavor } from "../../proto/gen/ferry/v1/model.js";
import { Datacenter, LARGE, WEB } from "../simulation/datacenter.js";
import { closeUnharmed } from "./close-unharmed.js";

let center: Datacenter;
let aggregates: Aggregates;
let groups: ServerGroups;

async function open(options: Parameters<typeof Datacenter.open>[0] = {}): Promise<void> {
  center = await Datacenter.open(options);
  const { deps, fleet } = center.controller;
  aggregates = new Aggregates({ ...deps, isAvailable: host => fleet.isAvailable(host) });
  groups = new ServerGroups(deps);
  await insertFlavor(
    center.store.queries,
    Flavor.fromPartial({ id: "1", name: "small", vcpus: 1, ramMib: 512, rootGib: 1 }),
  );
}
beforeEach(() => open());
afterEach(async () => {
  const astray = await auditPlacement(center.store, { heal: false });
  await closeUnharmed(center);
  expect(astray).toEqual([]);
});

const create = (name: string, changes: Parameters<typeof CreateServerRequest.fromPartial>[0] = {}) =>
  center.controller.servers.create(
    CreateServerRequest.fromPartial({
      name,
      flavor: "small",
      imagePath: "/images/i.raw",
      imageFormat: "raw",
      ...changes,
    }),
    "ada",
  );
const verdicts = async (server: string) =>
  (await center.controller.migrations.migrate({ server, dryRun: true, requestedBy: "ada" })).verdicts;
const possible = async (server: string) =>
  (await verdicts(server)).filter(({ ok }) => ok).map(({ host }) => host);
const refusedBy = async (server: string, host: string) =>
  (await verdicts(server)).find(verdict => verdict.host === host)?.refusedBy;
const refuse = (host: string) => center.agents.troubles.push({ verb: "prepare_target", host, kind: "fail" });

describe("reschedule", () => {
  it("test_resize_reschedule_uses_host_lists_1_fail: the alternate takes it", async () => {
    refuse("h2");
    await center.migrate("");
    expect(await center.rest()).toMatchObject({ status: "finished", targetHost: "h3" });
  });

  it("a target that the source does not reach is passed over, and has forgotten what it had booked", async () => {
    const fault = new Fault("unreachable", "no route to the data port");
    center.agents.troubles.push({ verb: "probe_transfer", host: "h1", kind: "fail", fault, times: 2 });
    await center.migrate("");
    const { targetHost, refusals } = await center.rest();
    expect([targetHost, refusals.map(({ host }) => host)]).toEqual(["h3", ["h2"]]);
    const asked = center.agents.calls.filter(call => call.includes("h2")).join("\n");
    expect(asked).toMatch(
      /prepare_target[\s\S]*withdraw_target[\s\S]*remove_target_files[\s\S]*close_migration/,
    );
  });

  it("test_resize_reschedule_uses_host_lists_not_enough_alts: everything is as it was, and says why", async () => {
    const before = await center.allocations();
    for (const host of ["h2", "h3"]) refuse(host);
    await center.migrate("");
    const { status, fault } = await center.ended();
    expect(status).toBe("error");
    expect(fault?.message).toMatch(/No valid host was found.*h2.*h3/);
    expect(await center.server()).toMatchObject({ status: "ACTIVE", taskState: "", host: "h1" });
    expect(await center.allocations()).toEqual(before);
  });

  it("test_migrate_host_not_rescheduled: a targeted move tries that host only", async () => {
    refuse("h2");
    await center.migrate("h2");
    expect(await center.ended()).toMatchObject({ status: "error", targetHost: "h2" });
    expect(center.agents.calls.filter(call => call.includes("h3"))).toEqual([]);
    expect(await center.server()).toMatchObject({ status: "ACTIVE", host: "h1" });
  });

  it("max_attempts = 1: nobody else is asked", async () => {
    await center.close();
    await open({ settings: { maxAttempts: 1 } });
    refuse("h2");
    await center.migrate("");
    expect(await center.ended()).toMatchObject({ status: "error", targetHost: "h2" });
  });
});

describe("server groups", () => {
  it("test_migrate_with_anti_affinity: goes where no other member is, also when it was confirmed", async () => {
    await groups.create({ name: "db", policy: "anti-affinity", maxServerPerHost: 0, owner: "ada" });
    const hint = { schedulerHints: { group: "db" } };
    await create("db-1", { ...hint, host: "h1" });
    await create("db-2", { ...hint, host: "h2" });
    expect(await possible("db-1")).toEqual(["h3"]);
    expect(await refusedBy("db-1", "h2")).toEqual(["ServerGroupAntiAffinityFilter"]);
    await create("db-3", hint);
    await expect(create("db-4", hint)).rejects.toThrow(/anti-affinity/);
  });

  it("test_boot_servers_with_affinity: strict affinity stays on its host, and does not leave it one by one", async () => {
    await groups.create({ name: "near", policy: "affinity", maxServerPerHost: 0, owner: "ada" });
    const hint = { schedulerHints: { group: "near" } };
    const { host } = await create("near-1", { ...hint, host: "h2" });
    expect((await create("near-2", hint)).host).toBe(host);
    expect(await possible("near-1")).toEqual([]);
    expect(await refusedBy("near-1", "h3")).toEqual(["ServerGroupAffinityFilter"]);
  });

  it("test_resize_same_host_with_affinity: strict affinity may grow where it is", async () => {
    await center.close();
    await open({ kind: "same-host resize" });
    await groups.create({ name: "near", policy: "affinity", maxServerPerHost: 0, owner: "ada" });
    const { id } = await groups.show("near");
    await create("near-1", { schedulerHints: { group: "near" }, host: "h1" });
    await center.store.queries.updateTable("server").set({ server_group: id }).execute();
    await center.move();
    expect(await center.rest()).toMatchObject({ status: "finished", sourceHost: "h1", targetHost: "h1" });
  });

  it("test_boot_servers_with_soft_affinity: together or not, and each may leave", async () => {
    await groups.create({ name: "near", policy: "soft-affinity", maxServerPerHost: 0, owner: "ada" });
    const hint = { schedulerHints: { group: "near" } };
    for (const name of ["near-1", "near-2"]) await create(name, { ...hint, host: "h2" });
    expect((await possible("near-1")).sort()).toEqual(["h1", "h3"]);
  });

  it("test_boot_servers_with_soft_anti_affinity: apart while there is room, then together", async () => {
    await groups.create({ name: "apart", policy: "soft-anti-affinity", maxServerPerHost: 0, owner: "ada" });
    const hint = { schedulerHints: { group: "apart" } };
    const hosts: string[] = [];
    for (const name of ["a-1", "a-2", "a-3", "a-4"]) hosts.push((await create(name, hint)).host);
    expect(hosts.slice(0, 3).sort()).toEqual(["h1", "h2", "h3"]);
  });

  it("of two members that are placed at the same time only one gets the host (LP#1821755)", async () => {
    await groups.create({ name: "db", policy: "anti-affinity", maxServerPerHost: 0, owner: "ada" });
    const hint = { schedulerHints: { group: "db" }, host: "h3" };
    const outcomes = await Promise.allSettled([create("db-1", hint), create("db-2", hint)]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });
});

describe("availability zones", () => {
  beforeEach(() => aggregates.setZone("h2", "east"));

  it("test_cold_migrate_cross_az: a server that was asked into no zone may cross", async () => {
    await center.migrate("h2");
    await center.rest();
    expect(await center.server()).toMatchObject({ host: "h2", availabilityZone: "east" });
    await center.controller.migrations.revert(WEB, { discardWrites: true, requestedBy: "ada" });
    await center.ended();
    expect(await center.server()).toMatchObject({ host: "h1", availabilityZone: "nova" });
  });

  it("a server that was asked into a zone stays in it, and its host cannot leave the zone", async () => {
    await create("east-1", { availabilityZone: "east" });
    expect(await possible("east-1")).toEqual([]);
    expect(await refusedBy("east-1", "h3")).toEqual(["map_az_to_placement_aggregate"]);
    await expect(aggregates.setZone("h2", "west")).rejects.toThrow(/contain instances in this zone/);
    await aggregates.setZone("h3", "east");
    expect(await possible("east-1")).toEqual(["h3"]);
  });

  it("that nobody has is refused by name", async () => {
    await expect(create("x", { availabilityZone: "mars" })).rejects.toThrow(/zone is not available/);
  });
});

describe("aggregates", () => {
  it("test_migrate_with_aggregate_extra_specs: only hosts whose aggregate says so", async () => {
    await insertFlavor(
      center.store.queries,
      Flavor.fromPartial({
        id: "2",
        name: "ssd",
        vcpus: 1,
        ramMib: 512,
        extraSpecs: { "aggregate_instance_extra_specs:ssd": "true" },
      }),
    );
    await expect(create("fast-1", { flavor: "ssd" })).rejects.toThrow(/has the ssd that the flavor asks/);
    await aggregates.create("fast", "", { ssd: "true" });
    await aggregates.addHost("fast", "h3");
    expect(await create("fast-1", { flavor: "ssd" })).toMatchObject({ host: "h3" });
  });
});

describe("where a server comes from", () => {
  it("test_resize_and_confirm_after_server_created_with_host: is no wish for later moves", async () => {
    await create("placed", { host: "h2" });
    expect((await possible("placed")).sort()).toEqual(["h1", "h3"]);
  });

  it("LP#1938326: a host that is disabled is left, one that is down is not", async () => {
    await center.controller.fleet.setStatus("h1", false, "to be emptied");
    expect(await possible(WEB)).toEqual(["h2", "h3"]);
    center.agents.agent("h1").isReachable = false;
    center.clock.advance(60_000);
    await center.passTime(() => center.controller.fleet.stateOf("h2") === "up");
    await expect(center.migrate("")).rejects.toMatchObject({ code: "unreachable" });
    expect(await center.server()).toMatchObject({ host: "h1", taskState: "", migrationId: "" });
  });
});

describe("hints", () => {
  it("hold for every later move of the server", async () => {
    await create("a", { host: "h2" });
    await create("b", { host: "h1", schedulerHints: { differentHost: ["a"] } });
    expect(await possible("b")).toEqual(["h3"]);
    expect(await refusedBy("b", "h2")).toEqual(["DifferentHostFilter"]);
  });
});

describe("placement", () => {
  it("ResizeSameHostDoubledAllocations (LP#1790204): a full host cannot take the same server twice", async () => {
    await center.close();
    await open({ kind: "same-host resize" });
    await create("filler", { host: "h1" });
    await create("filler-2", { host: "h1" });
    await expect(center.move()).rejects.toThrow(/not enough CPU/);
    await center.controller.servers.deleteServer("filler-2", "ada");
    await center.move();
    await center.rest();
    const cpus = (await center.allocations()).filter(line => line.includes("VCPU"));
    expect(cpus).toContain(`server on h1: VCPU ${LARGE.vcpus}`);
    expect(cpus).toContain("migration on h1: VCPU 1");
  });

  it("test_migrate_no_valid_host: nothing is recorded, and every host is named", async () => {
    for (const host of ["h2", "h3"]) await center.controller.fleet.setStatus(host, false, "memory");
    await expect(center.migrate("")).rejects.toThrow(/No valid host was found\..*h2 is disabled: memory/s);
    expect(await center.controller.migrations.list()).toEqual([]);
  });

  it("test_resize_not_enough_resource: refused before anything is touched", async () => {
    await center.addFlavor(
      Flavor.fromPartial({ id: "huge", name: "huge", vcpus: 64, ramMib: 512, rootGib: 2 }),
    );
    const resize = center.controller.migrations.resize({ server: WEB, flavor: "huge", requestedBy: "ada" });
    await expect(resize).rejects.toThrow(/not enough CPU/);
    expect(await center.server()).toMatchObject({ status: "ACTIVE", taskState: "" });
  });
});
