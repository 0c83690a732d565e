/** Who decides when nobody does, in the verify window and before it, and what survives a power cut meanwhile. */

import { copyFile, readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Journey, tracesBefore } from "./after-failure.js";
import { Lab, waitFor } from "./lab.js";
import { ferry, LabServer } from "./lab-server.js";
import { waitForEvent } from "./migration-events.js";
import { NeverTwice } from "./never-twice.js";
import { bookedMemory, NO_TRACES, tracesOf } from "./traces.js";

const THERE: Journey = { source: "h1", target: "h2" };
const MIB = 1024 * 1024;

let lab: Lab;
let guard: NeverTwice;

beforeAll(async () => {
  lab = await Lab.up({ id: "failures-verify", hosts: 2, env: { LAB_STOPS: "1" } });
  guard = new NeverTwice();
  await lab.guestFolder();
});

afterAll(async () => {
  await lab.down();
  await guard[Symbol.asyncDispose]();
});

async function setConfirmWindow(seconds: number): Promise<void> {
  const file = lab.path("ctl", "/etc/ferry/controller.toml");
  const toml = await readFile(file, "utf8");
  await lab.controller("stop");
  await writeFile(file, toml.replace(/resize_confirm_window = \d+/, `resize_confirm_window = ${seconds}`));
  await lab.controller("start");
}

/** The last event that a person who comes late is told. */
async function lastEvent(id: string): Promise<string> {
  const watch = ["timeout", "5", "ferry", "-o", "json", "migration", "watch", id, "--until-ended"];
  const [first = ""] = (await lab.exec("ctl", watch)).stdout.split("\n");
  return first === "" ? "" : (JSON.parse(first) as { event: string }).event;
}

it("power cuts of the source in the verify window and of the target during a copy lose nothing", async () => {
  const server = await LabServer.adopt(lab, "h1", { name: "cut", knobs: ["lab.blobmb=24"] });
  await lab.output("h1", ["virsh", "autostart", "cut"]);
  const before = await tracesBefore(server, THERE);

  await lab.shape("h2", "40mbit", "mig0");
  const id = await server.migrate("h2");
  await waitForEvent(lab, "ctl", id, /^begun copy-disks/);
  const isUnderWay = async () => (await lab.linkCounters("h2", "mig0")).receivedBytes > 8 * MIB;
  await waitFor(isUnderWay, { deadlineMs: 120_000, what: "8 MiB of the copy" });
  await lab.kill("h2");
  await lab.start("h2");
  expect(await server.rested(id)).toMatchObject({ status: "finished" });
  await server.dataIntact("h2", 2);

  await lab.kill("h1");
  await lab.start("h1");
  await server.processOn("h2");
  expect(await tracesOf(server, "h1")).toMatchObject({ isDefined: false, verdict: "deny" });
  await waitFor(async () => (await lab.ferry("server", "revert", "cut", "--yes", "--wait")).code === 0, {
    deadlineMs: 120_000,
    what: "the revert, once the source is back",
  });
  await server.processOn("h1");
  await server.dataIntact("h1", 2);
  expect(await tracesOf(server, "h1")).toEqual(before.source);
  expect(await tracesOf(server, "h2")).toMatchObject(NO_TRACES);
});

it("a server that is deleted in its verify window is confirmed first", async () => {
  const server = await LabServer.adopt(lab, "h1", { name: "gone" });
  const id = await server.migrate("h2");
  expect(await server.rested(id)).toMatchObject({ status: "finished" });
  await ferry(lab, "server", "delete", "gone", "--yes");
  expect(await server.migration(id)).toMatchObject({ status: "confirmed" });
  expect(await server.processes()).toEqual([]);
  for (const host of ["h1", "h2"] as const) {
    expect(await tracesOf(server, host), host).toMatchObject({ isDefined: false });
  }
});

it("a migration confirms itself only while its guest runs as it should", async () => {
  await setConfirmWindow(10);
  const [well, paused] = await Promise.all([
    LabServer.adopt(lab, "h1", { name: "well" }),
    LabServer.adopt(lab, "h1", { name: "paused" }),
  ]);
  const [good, bad] = await Promise.all([well.migrate("h2"), paused.migrate("h2")]);
  await waitForEvent(lab, "ctl", bad, /^waiting/);
  await lab.output("h2", ["virsh", "suspend", "paused"]);

  await waitForEvent(lab, "ctl", good, /^ended/);
  expect(await well.migration(good)).toMatchObject({ status: "confirmed" });
  expect(await tracesOf(well, "h1")).toMatchObject(NO_TRACES);

  const isPostponed = async () => (await lastEvent(bad)).startsWith("auto-confirm postponed");
  await waitFor(isPostponed, { deadlineMs: 120_000, what: "the confirm is postponed" });
  expect(await paused.migration(bad)).toMatchObject({ status: "finished" });
  expect(await tracesOf(paused, "h1")).not.toMatchObject(NO_TRACES);

  await lab.output("h2", ["virsh", "resume", "paused"]);
  await waitForEvent(lab, "ctl", bad, /^ended/, 120_000);
  expect(await paused.migration(bad)).toMatchObject({ status: "confirmed" });
  await paused.processOn("h2");
});

/** Stopped at the beginning of that, and not reached any more; what it is asked for it does. */
async function cutOffAt(verb: string): Promise<void> {
  const isStopped = async () =>
    (await lab.exec("h2", ["test", "-e", "/run/ferry-lab/stopped-at"])).code === 0;
  await waitFor(isStopped, { deadlineMs: 120_000, what: `${verb} on h2` });
  await lab.link("h2", "down");
  await lab.output("h2", ["sh", "-c", "kill -CONT $(cat /run/ferry-lab/agent.pid)"]);
}

const onH2 = (...words: readonly string[]) => lab.output("h2", ["virsh", "-q", ...words]);
const isOnH2 = (name: string, state: string) =>
  waitFor(async () => (await onH2("domstate", name).catch(() => "")).trim() === state, {
    deadlineMs: 120_000,
    what: `${name} is ${state} on h2`,
  });

/** As the operators' handbook tells it: none of it is Ferry's doing, and at no time could two copies run. */
it("a guest that somebody started on its target before Ferry did keeps what it wrote there, by hand", async () => {
  const server = await LabServer.adopt(lab, "h1", { name: "early" });
  await lab.output("h2", ["tee", "/run/ferry-lab/stop-at"], { input: `"verb":"createTarget"` });
  const id = await server.migrate("h2");
  await cutOffAt("createTarget");
  await isOnH2("early", "paused");
  await onH2("resume", "early");
  await server.dataIntact("h2", 2);
  await ferry(lab, "migration", "cancel", id);
  await lab.link("h2", "up");
  const isStuck = async () => (await server.migration(id)).status === "stuck";
  await waitFor(isStuck, { deadlineMs: 120_000, what: "the migration is stuck" });
  expect(await ferry(lab, "migration", "recover", id, "--plan")).toContain(
    "keep what it wrote there by hand",
  );

  await onH2("shutdown", "early");
  await isOnH2("early", "shut off");
  const disks = (await onH2("domblklist", "early")).match(/\/\S+/g) ?? [];
  const saved = (disk: string) => lab.path("h2", `${disk}.by-hand`);
  for (const disk of disks) await copyFile(lab.path("h2", disk), saved(disk));
  await server.revert();
  await server.processOn("h1");
  await ferry(lab, "server", "stop", "early");
  for (const disk of disks) await copyFile(saved(disk), lab.path("h1", disk));
  await server.start();
  await server.dataIntact("h1", 3);
  await ferry(lab, "server", "delete", "early", "--yes");
});

it("after all of them the hosts are booked for exactly the servers that they have", async () => {
  expect(await bookedMemory(lab)).toEqual({ h1: 192, h2: 2 * 192 });
});
