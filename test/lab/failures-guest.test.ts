/** Migrations of guests that do not behave, that change meanwhile, or that meet each other on the way. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { expectArrived, expectTakenBack, tracesBefore } from "./after-failure.js";
import { IMAGE_DIR } from "./guest.js";
import { Lab } from "./lab.js";
import { LabServer } from "./lab-server.js";
import { waitForEvent } from "./migration-events.js";
import { NeverTwice } from "./never-twice.js";
import { bookedMemory, NO_TRACES, tracesOf } from "./traces.js";

const THERE = { source: "h1", target: "h2" } as const;
const BACK = { source: "h2", target: "h1" } as const;

let lab: Lab;
let guard: NeverTwice;

beforeAll(async () => {
  lab = await Lab.up({ id: "failures-guest", hosts: 3 });
  guard = new NeverTwice();
  await lab.guestFolder();
});

afterAll(async () => {
  await lab.down();
  await guard[Symbol.asyncDispose]();
});

it.concurrent("a guest that ignores ACPI goes back untouched with --graceful-only, and is destroyed without it", async () => {
  const deaf = await LabServer.adopt(lab, "h1", { name: "deaf", knobs: ["lab.noacpi=1"] });
  const [pid, before] = [await deaf.processOn("h1"), await tracesBefore(deaf, THERE)];

  const refused = await deaf.migrate("h2", "--shutdown-timeout", "3", "--graceful-only");
  const { fault } = await expectTakenBack(deaf, refused, THERE, before);
  expect(fault?.message).toContain("ignored ACPI shutdown for 3 s");
  expect(await deaf.processOn("h1"), "the same process").toBe(pid);

  const forced = await deaf.migrate("h2", "--shutdown-timeout", "3");
  const { notes } = await expectArrived(deaf, forced, THERE);
  expect(notes.join("\n")).toContain("guest ignored ACPI shutdown for 3 s: destroyed");
});

it.concurrent("a guest that was off stays off, at either end", async () => {
  const off = await LabServer.adopt(lab, "h1", { name: "off", isOff: true });
  const id = await off.migrate("h2");
  expect(await off.rested(id)).toMatchObject({ status: "finished", downtimeMs: 0 });
  expect(await off.processes()).toEqual([]);
  await off.confirm();
  expect(await tracesOf(off, "h1")).toMatchObject(NO_TRACES);
  expect(await tracesOf(off, "h2")).toMatchObject({ isDefined: true, verdict: "allow" });
  await off.start();
  await off.processOn("h2");
  await off.dataIntact("h2", 1);
});

/** Its migration, at the moment in which its guest is asked to shut down. It takes its time: until `hasShutDown`. */
async function shuttingDown(server: LabServer): Promise<string> {
  const id = await server.migrate("h2");
  await waitForEvent(lab, "ctl", id, /^begun stop-source/);
  return id;
}

const SLOW = ["lab.noacpi=1"];
const hasShutDown = ({ name }: LabServer) => lab.output("h1", ["virsh", "-q", "destroy", name]);

it.concurrent("a definition that somebody changes while the guest shuts down is noticed, and the guest runs again", async () => {
  const changed = await LabServer.adopt(lab, "h1", { name: "changed", knobs: SLOW });
  const id = await shuttingDown(changed);
  const xml = await lab.output("h1", ["virsh", "dumpxml", "--inactive", "changed"]);
  const other = xml.replace("</domain>", "</domain>").replace(/<on_crash>\w+</, "<on_crash>preserve<");
  expect(other).not.toBe(xml);
  await lab.output("h1", ["virsh", "define", "/dev/stdin"], { input: other });
  await hasShutDown(changed);
  const { status, fault } = await changed.rested(id);
  expect(status).toBe("error");
  expect(fault?.message).toContain("changed behind Ferry");
  await changed.dataIntact("h1", 2);
  await changed.processOn("h1");
  expect(await tracesOf(changed, "h2")).toMatchObject(NO_TRACES);
  expect(await lab.output("h1", ["virsh", "dumpxml", "--inactive", "changed"])).toContain(
    "<on_crash>preserve<",
  );
});

it.concurrent("a disk that somebody replaces while the guest shuts down is noticed, and the guest runs again", async () => {
  const swapped = await LabServer.adopt(lab, "h1", { name: "replaced", knobs: SLOW });
  const id = await shuttingDown(swapped);
  const disk = `${IMAGE_DIR}/replaced-ephemeral.raw`;
  await lab.output("h1", ["sh", "-c", `cp --sparse=always ${disk} ${disk}.copy && mv ${disk}.copy ${disk}`]);
  await hasShutDown(swapped);
  const { status, fault } = await swapped.rested(id);
  expect(status).toBe("error");
  expect(fault?.message).toContain("changed behind Ferry");
  await swapped.processOn("h1");
  expect(await tracesOf(swapped, "h2")).toMatchObject(NO_TRACES);
});

it.concurrent("a snapshot that somebody takes while the guest shuts down is noticed, and the guest runs again", async () => {
  const snapped = await LabServer.adopt(lab, "h1", { name: "snapped", knobs: SLOW });
  const id = await shuttingDown(snapped);
  const only = ["vdb,snapshot=no", "vdc,snapshot=no", "vdd,snapshot=no"].flatMap(disk => [
    "--diskspec",
    disk,
  ]);
  const options = ["--disk-only", "--no-metadata", "--diskspec", "vda,snapshot=external", ...only];
  await lab.output("h1", ["virsh", "-q", "snapshot-create-as", "snapped", "behind-our-back", ...options]);
  await hasShutDown(snapped);
  const { status, fault } = await snapped.rested(id);
  expect(status).toBe("error");
  expect(fault?.message).toContain("changed behind Ferry");
  await snapped.processOn("h1");
  expect(await tracesOf(snapped, "h2")).toMatchObject(NO_TRACES);
});

it.concurrent("two servers change places at the same time", async () => {
  const [one, two] = await Promise.all([
    LabServer.adopt(lab, "h1", { name: "one" }),
    LabServer.adopt(lab, "h2", { name: "two" }),
  ]);
  const [there, back] = await Promise.all([one.migrate("h2"), two.migrate("h1")]);
  await Promise.all([expectArrived(one, there, THERE), expectArrived(two, back, BACK)]);
});

it.concurrent("two servers on one base image come to the same host at the same time, and the base comes once", async () => {
  const servers = await Promise.all(
    ["left", "right"].map(name => LabServer.adopt(lab, "h1", { name, isOff: true })),
  );
  const ids = await Promise.all(servers.map(server => server.migrate("h3")));
  const ended = await Promise.all(servers.map((server, index) => server.rested(ids[index] ?? "")));
  expect(ended.map(({ status }) => status)).toEqual(["finished", "finished"]);
  const modes = ended.map(({ receipt }) => receipt.find(({ id }) => id === "vda/1")?.mode);
  expect(modes.sort()).toEqual(["copied", "present"]);
  await Promise.all(servers.map(server => server.confirm()));
});

it("after all of them the hosts are booked for exactly the servers that they have", async () => {
  expect(await bookedMemory(lab)).toEqual({ h1: 4 * 192, h2: 3 * 192, h3: 2 * 192 });
});
