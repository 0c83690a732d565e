/**
 * The way to the target breaks, its disk fills up, its libvirt dies, or a person changes their mind, during the copy; or
 * the target has refused before, and another one takes the server.
 */

import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Event } from "../../proto/gen/ferry/v1/event.js";
import type { HostVerdict, Migration, Server, ServerAction } from "../../proto/gen/ferry/v1/model.js";
import { expectArrived, expectTakenBack, type Journey, tracesBefore } from "./after-failure.js";
import { bareServer } from "./bare-guest.js";
import { claimsOn } from "./daemon-records.js";
import { IMAGE_DIR } from "./guest.js";
import { type Host, Lab, PATIENCE_MS, waitFor } from "./lab.js";
import { ferry, ferryJson, LabServer } from "./lab-server.js";
import { eventsOf, waitForEvent } from "./migration-events.js";
import { NeverTwice } from "./never-twice.js";
import { bookedMemory, NO_TRACES, tracesOf } from "./traces.js";

const THERE: Journey = { source: "h1", target: "h2" };
const RATE = "40mbit";
const MIB = 1024 * 1024;
const CUT_MS = 5_000;
/** Less than the copy still needs, more than arrives while the disk is made so small. */
const ROOM_KIB = 8 * 1024;
const MAX_DOWNTIME_SECONDS = 20;
const MIGRATE_ANYWHERE = ["server", "migrate", "--read-only-drives", "carry"] as const;

let lab: Lab;
let guard: NeverTwice;
let server: LabServer;

beforeAll(async () => {
  lab = await Lab.up({ id: "failures-target", hosts: 3 });
  guard = new NeverTwice();
  server = await LabServer.adopt(lab, "h1", {
    name: "web",
    knobs: ["lab.blobmb=24"],
    maxDowntimeSeconds: MAX_DOWNTIME_SECONDS,
  });
});

afterAll(async () => {
  await lab.down();
  await guard[Symbol.asyncDispose]();
});

/** A migration in the middle of its copy, over a slow link. */
async function copying(target: Host): Promise<string> {
  await lab.shape(target, RATE, "mig0");
  const received = async () => (await lab.linkCounters(target, "mig0")).receivedBytes;
  const before = await received();
  const id = await server.migrate(target);
  await waitForEvent(lab, "ctl", id, /^begun copy-disks/);
  const isUnderWay = async () => (await received()) - before > 8 * MIB;
  await waitFor(isUnderWay, { deadlineMs: 120_000, what: "8 MiB of the copy" });
  return id;
}

it("a cancel during the copy has the guest running on its source again within seconds", async () => {
  const before = await tracesBefore(server, THERE);
  const id = await copying("h2");
  const cancelledMs = Date.now();
  await ferry(lab, "migration", "cancel", id);
  const { fault, endedAtMs } = await expectTakenBack(server, id, THERE, before);
  expect(endedAtMs - cancelledMs).toBeLessThan(20_000);
  expect(fault?.message).toContain("cancelled");
  await server.dataIntact("h1", 2);
  await lab.shape("h2", "off", "mig0");
});

it("a target that is lost before its CPUs could run is waited for, and nothing runs until it has given its word", async () => {
  const before = await tracesBefore(server, THERE);
  const id = await copying("h2");
  await lab.link("h2", "down");
  await waitForEvent(lab, "ctl", id, /^unwinding copy-disks/);
  await pause(CUT_MS);
  expect(await server.processes()).toEqual([]);
  expect((await lab.exec("h1", ["virsh", "start", "web"])).code).not.toBe(0);
  expect(await server.migration(id)).toMatchObject({ direction: "unwinding" });

  await lab.link("h2", "up");
  await expectTakenBack(server, id, THERE, before);
  await server.dataIntact("h1", 3);
  await lab.shape("h2", "off", "mig0");
});

it("a target whose disk fills up during the copy is given up, and the guest runs on its source", async () => {
  const journey: Journey = { source: "h1", target: "h3" };
  await lab.output("h3", ["mount", "-t", "tmpfs", "-o", "size=5G", "tmpfs", IMAGE_DIR]);
  await lab.agent("h3", "kill");
  const before = await tracesBefore(server, journey);
  const seesIt = async () =>
    (await lab.ferry("server", "migrate", "web", "--host", "h3", "--dry-run")).code === 0;
  await waitFor(seesIt, { deadlineMs: 120_000, what: "h3 could take the server" });
  const id = await copying("h3");
  const used = Number(await lab.output("h3", ["sh", "-c", `df --output=used -k ${IMAGE_DIR} | tail -1`]));
  await lab.output("h3", ["mount", "-o", `remount,size=${used + ROOM_KIB}k`, IMAGE_DIR]);
  const { fault } = await expectTakenBack(server, id, journey, before);
  expect(fault?.code).toBe("out-of-space");
  await server.dataIntact("h1", 4);
});

it("a cable that is out for some seconds makes a copy slower, not wrong", async () => {
  const id = await copying("h2");
  await lab.link("h2", "down", "mig0");
  await pause(CUT_MS);
  await lab.link("h2", "up", "mig0");
  await lab.shape("h2", "off", "mig0");
  await expectArrived(server, id, THERE, 5);
});

it("a libvirtd that dies before the server is defined is waited for", async () => {
  const back: Journey = { source: "h2", target: "h1" };
  const id = await server.migrate("h1");
  await waitForEvent(lab, "ctl", id, /^begun copy-disks/);
  await lab.output("h1", ["sh", "-c", "kill -KILL $(cat /run/libvirtd.pid)"]);
  await waitForEvent(lab, "ctl", id, /^begun define-target/);
  await pause(CUT_MS);
  expect(await server.processes()).toEqual([]);
  await lab.restartLibvirtd("h1");
  await expectArrived(server, id, back, 6);
});

describe("a target that refuses what only it can know", () => {
  /** A domain that somebody defined there since: the scheduler knows of no such thing. */
  const defineNamesake = (host: Host) =>
    lab.output(host, ["virsh", "-q", "define", "/dev/stdin"], {
      input: "<domain type='qemu'><name>web</name><memory>1024</memory><os><type>hvm</type></os></domain>",
    });

  /** The scheduler's own order, best first. */
  async function ranking(name: string): Promise<string[]> {
    const verdicts = await ferryJson<HostVerdict[]>(lab, "server", "migrate", name, "--dry-run");
    const possible = verdicts.filter(({ ok }) => ok);
    return possible.sort((one, other) => other.weight - one.weight).map(({ host }) => host);
  }

  const preparations = async (name: string) => {
    const [action] = await ferryJson<ServerAction[]>(lab, "server", "events", name);
    const events = action?.events.filter(({ event }) => event === "compute_prep_resize") ?? [];
    return events.map(({ host, result, details }) => `${host} ${result} ${details}`.trim());
  };

  /** Nothing of the server, and no claim or operation that waits. */
  async function expectNothingOn(host: Host, of: Pick<LabServer, "lab" | "name" | "uuid">): Promise<void> {
    const { verdict, ...traces } = await tracesOf(of, host);
    expect(traces).toEqual(NO_TRACES);
    expect(verdict).not.toBe("allow");
    expect(claimsOn(lab, host)).not.toContainEqual(expect.stringContaining(of.uuid));
  }

  beforeAll(async () => {
    await lab.output("h3", ["mount", "-o", "remount,size=5G", IMAGE_DIR]);
    const isSecond = async () => (await ranking("web")).join() === "h2,h3";
    await waitFor(isSecond, { deadlineMs: PATIENCE_MS, what: "h3 is the scheduler's second choice" });
    await defineNamesake("h2");
  });

  it("is the only one that is asked when it was named, and the guest runs on", async () => {
    const pid = await server.processOn("h1");
    const id = await server.migrate("h2");
    const migration = await server.rested(id);
    expect(migration).toMatchObject({ status: "error", targetHost: "h2", refusals: [] });
    expect(migration.fault).toMatchObject({
      message: expect.stringContaining("another domain on the target has this name"),
      fix: expect.stringContaining("rename"),
    });
    expect(await preparations("web")).toEqual([expect.stringMatching(/^h2 Error .*has this name/)]);
    expect(await server.processOn("h1")).toBe(pid);
    expect(await ferryJson<Server>(lab, "server", "show", "web")).toMatchObject({
      status: "ACTIVE",
      taskState: "",
      migrationId: "",
      host: "h1",
    });
    expect(await eventsOf(lab, "h3", id)).toEqual([]);
    await expectNothingOn("h2", server);
  });

  it("is passed over for the alternate, where the guest goes on with its data", async () => {
    const pid = await server.processOn("h1");
    const migration = await ferryJson<Migration>(lab, ...MIGRATE_ANYWHERE, "web");
    const { id } = migration;
    await waitForEvent(lab, "h3", id, /prepare/);
    expect(await server.processOn("h1")).toBe(pid);
    await expectNothingOn("h2", server);
    const arrived = await expectArrived(server, id, { source: "h1", target: "h3" }, 7);
    expect(arrived.refusals).toEqual([
      expect.objectContaining({
        host: "h2",
        fault: expect.objectContaining({ message: expect.stringContaining("has this name") }),
      }),
    ]);
    expect(await ferry(lab, "migration", "show", id)).toMatch(/refused by\W+h2: .*has this name/);
    expect(await eventsOf(lab, "h1", id)).toContainEqual(expect.stringContaining("stopDomain"));
    const told = await ferryJson<Event[]>(lab, "event", "list", "--migration", id);
    expect(told.map(({ type, host }) => `${type} ${host}`.trim()).slice(0, 6)).toEqual([
      "scheduler.select_destinations.start",
      "scheduler.select_destinations.end",
      "instance.resize_prep.start h2",
      "instance.resize_prep.error h2",
      "instance.resize_prep.end h3",
      "instance.resize.start h1",
    ]);
    await expectNothingOn("h2", server);
  });

  it("gives back what it had booked when the source cannot send to it", async () => {
    const uuid = await bareServer(lab, "h1", { name: "spare", isOff: true });
    expect(await ranking("spare")).toEqual(["h2", "h3"]);
    await lab.output("h2", ["virsh", "-q", "undefine", "web"]);
    await lab.link("h2", "down", "mig0");
    const { id } = await ferryJson<Migration>(lab, ...MIGRATE_ANYWHERE, "spare");
    const spare = { lab, name: "spare", uuid };
    expect(await server.rested(id)).toMatchObject({ status: "finished", targetHost: "h3" });
    expect(await preparations("spare")).toEqual([expect.stringMatching(/^h2 Error /), "h3 Success"]);
    // It had agreed, and was asked for its word that it has forgotten the server.
    expect(await eventsOf(lab, "h2", id)).toEqual([
      "operation begun prepareTarget",
      "operation done prepareTarget",
      "operation begun withdrawTarget",
      "operation done withdrawTarget",
      "operation begun removeTargetFiles",
      "operation done removeTargetFiles",
      "operation begun closeMigration",
      "operation done closeMigration",
    ]);
    await expectNothingOn("h2", spare);
    await ferry(lab, "server", "confirm", "spare", "--wait");
    await ferry(lab, "server", "delete", "spare", "--yes");
  });
});

it("after all of them the hosts are booked for exactly the servers that they have", async () => {
  expect(await bookedMemory(lab)).toEqual({ h1: 0, h2: 0, h3: 192 });
  expect(await tracesOf(server, "h1")).toMatchObject(NO_TRACES);
});
