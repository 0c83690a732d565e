/** Agents and the controller are killed while servers are moved: only the duration of a migration changes (DESIGN §4.8). */

import { afterAll, beforeAll, expect, it } from "vitest";
import { expectArrived, type Journey } from "./after-failure.js";
import { type Host, Lab, waitFor } from "./lab.js";
import { LabServer } from "./lab-server.js";
import { eventsOf } from "./migration-events.js";
import { NeverTwice } from "./never-twice.js";
import { bookedMemory } from "./traces.js";

const THERE: Journey = { source: "h1", target: "h2" };
const RATE = "16mbit";
const MIB = 1024 * 1024;
const ALL_BYTES = 58 * MIB;
/** By then the first segments have their verdict; two may be without one on each connection, and are lost with it. */
const LATE_BYTES = 52 * MIB;

let lab: Lab;
let guard: NeverTwice;
let big: LabServer;
let small: LabServer;

beforeAll(async () => {
  lab = await Lab.up({ id: "failures-daemons", hosts: 2 });
  guard = new NeverTwice();
  await lab.guestFolder();
  [big, small] = await Promise.all([
    LabServer.adopt(lab, "h1", { name: "big", knobs: ["lab.blobmb=40"] }),
    LabServer.adopt(lab, "h1", { name: "small" }),
  ]);
});

afterAll(async () => {
  await lab.down();
  await guard[Symbol.asyncDispose]();
});

const received = async (host: Host) => (await lab.linkCounters(host, "mig0")).receivedBytes;

/** Resolves when an agent that was killed is asked for the same operation again. */
const begunAgain = (host: Host, id: string, verb: string) =>
  waitFor(
    async () =>
      (await eventsOf(lab, host, id)).filter(event => event === `operation begun ${verb}`).length > 1,
    { deadlineMs: 120_000, what: `${verb} on ${host} again` },
  );

/** Kills a daemon once at each event that matches and was not seen before, until the migration rests; those events. */
async function killAtEach(server: LabServer, id: string, host: Host, pattern: RegExp): Promise<string[]> {
  const killedAt: string[] = [];
  const step = async () => {
    const next = (await eventsOf(lab, host, id)).find(
      event => pattern.test(event) && !killedAt.includes(event),
    );
    if (next !== undefined) {
      killedAt.push(next);
      await (host === "ctl" ? lab.controller("kill") : lab.agent(host, "kill"));
    }
    return (await eventsOf(lab, "ctl", id)).some(event => /^(waiting|ended)/.test(event));
  };
  await waitFor(step, { deadlineMs: 180_000, what: `${server.name} rests in spite of kills at ${killedAt}` });
  return killedAt;
}

it("killed during the copy, the controller and both agents carry on, and not everything is sent again", async () => {
  await lab.shape("h2", RATE, "mig0");
  const before = await received("h2");
  const id = await big.migrate("h2");
  const isLate = async () => (await received("h2")) - before > LATE_BYTES;
  await waitFor(isLate, { deadlineMs: 120_000, what: "the backing file has arrived" });
  await lab.agent("h1", "kill");
  await begunAgain("h1", id, "sendDisks");
  await lab.agent("h2", "kill");
  const wasted = (await received("h2")) - before;
  await begunAgain("h2", id, "receiveDisks");
  await lab.controller("kill");
  await lab.shape("h2", "off", "mig0");

  await expectArrived(big, id, THERE);
  // Without a journal of what is verified, all of it, and what TLS and TCP add, would have been sent after the last kill.
  expect((await received("h2")) - before).toBeLessThan(wasted + ALL_BYTES);
});

it("a controller that is killed at every step of a migration ends it well", async () => {
  const id = await small.migrate("h2");
  const killedAt = await killAtEach(small, id, "ctl", /^begun /);
  // A step whose beginning was durable but not logged yet when the kill came is the one that may be missing.
  expect(killedAt.length).toBeGreaterThanOrEqual(8);
  await expectArrived(small, id, THERE);
});

it("agents that are killed at every operation of a migration end it well", async () => {
  const restless = await LabServer.adopt(lab, "h1", { name: "restless" });
  const id = await restless.migrate("h2");
  const [source, target] = await Promise.all([
    killAtEach(restless, id, "h1", /^operation begun /),
    killAtEach(restless, id, "h2", /^operation begun /),
  ]);
  expect(source.length).toBeGreaterThanOrEqual(3);
  expect(target.length).toBeGreaterThanOrEqual(3);
  await expectArrived(restless, id, THERE);
});

it("after all of them the hosts are booked for exactly the servers that they have", async () => {
  expect(await bookedMemory(lab)).toEqual({ h1: 0, h2: 3 * 192 });
});
