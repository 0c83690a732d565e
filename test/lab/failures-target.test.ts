/** The way to the target breaks, its disk fills up, its libvirt dies, or a person changes their mind, during the copy. */

import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { expectArrived, expectTakenBack, type Journey, tracesBefore } from "./after-failure.js";
import { IMAGE_DIR } from "./guest.js";
import { type Host, Lab, waitFor } from "./lab.js";
import { ferry, LabServer } from "./lab-server.js";
import { waitForEvent } from "./migration-events.js";
import { NeverTwice } from "./never-twice.js";
import { bookedMemory, tracesOf } from "./traces.js";

const THERE: Journey = { source: "h1", target: "h2" };
const RATE = "40mbit";
const MIB = 1024 * 1024;
const CUT_MS = 5_000;
/** Less than the copy still needs, more than arrives while the disk is made so small. */
const ROOM_KIB = 8 * 1024;
const MAX_DOWNTIME_SECONDS = 20;

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
  await waitFor(isUnderWay, { deadlineMs: 60_000, what: "8 MiB of the copy" });
  return id;
}

it("a cancel during the copy has the guest running on its source again within seconds", async () => {
  const before = await tracesBefore(server, THERE);
  const id = await copying("h2");
  const cancelledMs = Date.now();
  await ferry(lab, "migration", "cancel", id);
  const { fault } = await expectTakenBack(server, id, THERE, before);
  expect(Date.now() - cancelledMs).toBeLessThan(20_000);
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
  await waitFor(seesIt, { deadlineMs: 60_000, what: "h3 could take the server" });
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

it("after all of them the hosts are booked for exactly the servers that they have", async () => {
  expect(await bookedMemory(lab)).toEqual({ h1: 192, h2: 0, h3: 0 });
  expect(await tracesOf(server, "h3")).toMatchObject({ files: [] });
});
