/**
 * Agents and the controller are killed, and the link is cut, while servers are moved: only the duration of a migration changes
 * (DESIGN §4.8), and no chunk that the target has verified crosses the link again.
 */

import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { expectArrived, type Journey } from "./after-failure.js";
import { IMAGE_DIR } from "./guest.js";
import { type Host, Lab, waitFor } from "./lab.js";
import { LabServer } from "./lab-server.js";
import { eventsOf, restOf } from "./migration-events.js";
import { NeverTwice } from "./never-twice.js";
import { CopyAccount } from "./support/copy-account.js";
import { bookedMemory } from "./traces.js";

const THERE: Journey = { source: "h1", target: "h2" };
const BACK: Journey = { source: "h2", target: "h1" };
const RATE = "100mbit";
const MIB = 1024 * 1024;
/** Several segments a connection, and time enough to cut it three times. */
const DATA_MIB = 160;
const MANY_BYTES = 48 * MIB;

let lab: Lab;
let guard: NeverTwice;
let big: LabServer;
let small: LabServer;

beforeAll(async () => {
  lab = await Lab.up({ id: "failures-daemons", hosts: 2, env: { LAB_STOPS: "1" } });
  guard = new NeverTwice();
  await lab.guestFolder();
  const data = `${IMAGE_DIR}/big-data.raw`;
  const disksXml = `<disk type='file' device='disk'><driver name='qemu' type='raw'/>
    <source file='${data}'/><target dev='vde' bus='virtio'/></disk>`;
  await lab.output("h1", ["sh", "-c", `head -c ${DATA_MIB}M /dev/urandom >${data}`]);
  [big, small] = await Promise.all([
    LabServer.adopt(lab, "h1", { name: "big", knobs: ["lab.blobmb=16"], disksXml }),
    LabServer.adopt(lab, "h1", { name: "small" }),
  ]);
});

afterAll(async () => {
  await lab.down();
  await guard[Symbol.asyncDispose]();
});

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
  const isOver = restOf(lab, id);
  const step = async () => {
    const events = await eventsOf(lab, host, id);
    const next = events.find(event => pattern.test(event) && !killedAt.includes(event));
    if (next === undefined) return isOver();
    killedAt.push(next);
    await (host === "ctl" ? lab.controller("kill") : lab.agent(host, "kill"));
    return false;
  };
  const what = () => `${server.name} rests in spite of kills at ${killedAt.join(", ")}`;
  await waitFor(step, { deadlineMs: 180_000, what });
  return killedAt;
}

/** Waits until the target has verified so much more than it had. */
async function verifiedMore(account: CopyAccount, bytes: number): Promise<void> {
  const before = await account.verifiedBytes();
  const isMore = async () => (await account.verifiedBytes()) >= before + bytes;
  await waitFor(isMore, { deadlineMs: 120_000, what: `${bytes} bytes more than ${before} are verified` });
}

it("killed during the copy, the controller and both agents carry on, and no chunk that was verified is sent twice", async () => {
  await lab.shape("h2", RATE, "mig0");
  const id = await big.migrate("h2");
  const account = new CopyAccount(lab, "h2", id);
  await verifiedMore(account, MANY_BYTES);
  await lab.agent("h1", "kill");
  await begunAgain("h1", id, "sendDisks");
  await lab.agent("h2", "kill");
  await account.mark();
  await begunAgain("h2", id, "receiveDisks");
  await lab.controller("kill");
  await lab.shape("h2", "off", "mig0");

  await account.settle(await expectArrived(big, id, THERE));
});

interface Cut {
  readonly begin: () => Promise<unknown>;
  readonly mend: () => Promise<unknown>;
}

/** Answers every packet of a connection with a reset, as a firewall does that has forgotten it. */
const reject = (how: "-I" | "-D") => {
  const rule = "INPUT -i mig0 -p tcp -j REJECT --reject-with tcp-reset";
  return lab.output("h1", ["iptables", "-w", how, ...rule.split(" ")]);
};
const reset: Cut = { begin: () => reject("-I"), mend: () => reject("-D") };
const unplugged: Cut = {
  begin: () => lab.link("h1", "down", "mig0"),
  mend: () => lab.link("h1", "up", "mig0"),
};

const timesLost = async (host: Host): Promise<number> =>
  (await readFile(lab.path(host, "/var/log/ferry/agent.log"), "utf8")).split("transfer interrupted").length;

/** Cuts the way from h2 to h1, and mends it once the source has lost its connection. */
async function cut({ begin, mend }: Cut, account: CopyAccount): Promise<void> {
  const before = await timesLost("h2");
  await begin();
  const isLost = async () => (await timesLost("h2")) > before;
  await waitFor(isLost, { deadlineMs: 60_000, what: "the source has lost the connection" });
  await account.mark();
  await mend();
}

it("over a link that is cut three times a server moves, and no chunk that was verified is sent twice", async () => {
  await lab.shape("h1", RATE, "mig0");
  const id = await big.migrate("h1");
  const account = new CopyAccount(lab, "h1", id);
  await account.mark();
  for (const next of [reset, unplugged, reset]) {
    await verifiedMore(account, 1);
    await cut(next, account);
  }
  await verifiedMore(account, 1);
  await lab.shape("h1", "off", "mig0");
  await account.settle(await expectArrived(big, id, BACK, 3));
});

it("a controller that is killed at every step of a migration, the last time before it could say that it is over, ends it well", async () => {
  await lab.output("ctl", ["tee", "/run/ferry-lab/end-at"], { input: `"msg":"waiting"` });
  const id = await small.migrate("h2");
  const killedAt = await killAtEach(small, id, "ctl", /^begun /);
  // Of ten; a step whose beginning was durable but not logged yet when the kill came is missing.
  expect(killedAt.length).toBeGreaterThanOrEqual(6);
  const told = await eventsOf(lab, "ctl", id);
  expect(told.filter(event => event.startsWith("waiting"))).toEqual([]);
  expect(told).toContain("taken up waiting");
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
  expect(await bookedMemory(lab)).toEqual({ h1: 192, h2: 2 * 192 });
});
