/** Connections that are cut and agents that are replaced: what was verified is not sent again, and nothing hangs. */

import { randomBytes } from "node:crypto";
import { appendFile, open, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FrameTap } from "../../agent/transfer/link.js";
import { createFlakyWire, type FlakyWire } from "./support/flaky-wire.js";
import { areEqual, createWorld, faultOf, KIB, MIB, until, type World } from "./support/transfer-world.js";

const LEAF = 256 * KIB;
const SIZE = 96 * MIB;
let world: World;
let wire: FlakyWire;
/** How often each leaf was sent, by offset. */
let sent: Map<number, number>;
const countLeaves: FrameTap = (type, { offset = 0 }) => {
  if (type === "data") sent.set(offset, (sent.get(offset) ?? 0) + 1);
};
const leavesSent = () => [...sent.values()].reduce((sum, times) => sum + times, 0);

beforeEach(async () => {
  world = await createWorld();
  sent = new Map();
  await writeFile(world.source("disk"), randomBytes(SIZE));
});

afterEach(async () => {
  await wire?.close();
  await world.dispose();
});

describe("a link that is cut three times", () => {
  it.each([1, 2])("delivers, over %i connections, and sends no verified leaf twice", async connections => {
    const verified: { start: number; end: number }[] = [];
    const sentAgain: number[] = [];
    await appendFile(world.source("disk"), randomBytes(144 * MIB)); // enough for three cuts
    const { listener, port } = await world.listener();
    wire = await createFlakyWire(port);
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    let cuts = 0;
    const tapOutgoing: FrameTap = (type, { offset = 0 }) => {
      if (type === "open" && cuts < 3) wire.cutAfter(40 * MIB * connections);
      if (type === "open") cuts += 1;
      if (type === "data" && verified.some(({ start, end }) => offset >= start && offset < end)) {
        sentAgain.push(offset);
      }
    };
    // The target's word is what counts: a verdict may be lost with the connection, then its next answer has it.
    const tapIncoming: FrameTap = (type, { offset = 0 }, payload) => {
      if (type === "verified")
        verified.push({ start: offset, end: offset + Number(payload.readBigUInt64LE()) });
      if (type === "have") verified.push({ start: offset, end: offset + (payload.length / 32) * LEAF });
    };
    const summary = await world.send(wire.port, ["disk"], { connections }, { tapOutgoing, tapIncoming });
    const receipt = await expectation.done;
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
    expect(summary.reconnections).toBe(3);
    expect(receipt.resumedBytes).toBeGreaterThan(0);
    expect(summary.resumedBytes).toBe(receipt.resumedBytes);
    expect(verified.length).toBeGreaterThan(0);
    expect(sentAgain).toEqual([]);
  });
});

describe("after the target's agent was replaced in the middle of the copy", () => {
  /** Copies until something is verified, then the first agent goes; answers how much its journal says. */
  async function interrupted() {
    const first = await world.listener();
    wire = await createFlakyWire(first.port);
    const incoming = [await world.incoming("disk")];
    const before = faultOf(world.expect(first.listener, incoming).done);
    const done = world.send(wire.port, ["disk"], { connections: 1 }, { tapOutgoing: countLeaves });
    const journal = `${world.target("disk")}.part-m1.journal`;
    await until(
      async () => (await stat(journal).catch(() => ({ size: 0 }))).size > 4400,
      "a segment is verified",
    );
    const second = await world.listener();
    wire.lead(second.port);
    await first.listener.close();
    expect(await before).toBe("unreachable");
    return { done, second, incoming, journal };
  }

  it("the copy goes on from its journal", async () => {
    const { done, second, incoming } = await interrupted();
    const expectation = world.expect(second.listener, incoming);
    await done;
    expect((await expectation.done).resumedBytes).toBeGreaterThanOrEqual(32 * MIB);
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
  });

  it("a torn journal is believed up to the tear", async () => {
    const { done, second, incoming, journal } = await interrupted();
    await appendFile(journal, randomBytes(1000));
    const expectation = world.expect(second.listener, incoming);
    await done;
    expect((await expectation.done).resumedBytes).toBeGreaterThanOrEqual(32 * MIB);
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
  });
});

describe("a part file of an earlier run", () => {
  async function leaveOne(): Promise<void> {
    const { listener, port } = await world.listener();
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    const cancel = new AbortController();
    const journal = `${world.target("disk")}.part-m1.journal`;
    const done = faultOf(world.send(port, ["disk"], { connections: 1, signal: cancel.signal }));
    await until(
      async () => (await stat(journal).catch(() => ({ size: 0 }))).size > 4400,
      "a segment is verified",
    );
    cancel.abort();
    expect(await done).toBe("cancelled");
    expect(await faultOf(expectation.done)).toBe("cancelled");
  }

  async function again(): Promise<number> {
    const { listener, port } = await world.listener();
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    await world.send(port, ["disk"], {}, { tapOutgoing: countLeaves });
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
    return (await expectation.done).resumedBytes;
  }

  it("is gone on with", async () => {
    await leaveOne();
    const resumedBytes = await again();
    expect(resumedBytes).toBeGreaterThanOrEqual(32 * MIB);
    expect(leavesSent() * LEAF).toBe(SIZE - resumedBytes);
  });

  it("is begun anew when the source has changed since", async () => {
    await leaveOne();
    const handle = await open(world.source("disk"), "r+");
    await handle.write(randomBytes(100), 0, 100, MIB);
    await handle.close();
    expect(await again()).toBe(0);
  });

  it("is begun anew when only the source's times have changed", async () => {
    await leaveOne();
    await utimes(world.source("disk"), 1, 1);
    expect(await again()).toBe(0);
  });

  it("is begun anew when it is another file than its journal says", async () => {
    await leaveOne();
    await truncate(`${world.target("disk")}.part-m1`, MIB);
    expect(await again()).toBe(0);
  });
});

it("a transfer repeated after its end sends nothing and gives the same receipt", async () => {
  const roots: (string | undefined)[] = [];
  for (const epoch of [1, 2]) {
    const { listener, port } = await world.listener();
    const expectation = world.expect(listener, [await world.incoming("disk")], { epoch });
    await world.send(port, ["disk"], { epoch }, { tapOutgoing: countLeaves });
    roots.push((await expectation.done).files[0]?.rootDigest);
  }
  expect(roots[0]).toBe(roots[1]);
  expect(leavesSent()).toBe(SIZE / LEAF);
});

it("a peer that falls silent is a fault on both sides, not a hang", async () => {
  const limits = { idleMs: 200, handshakeMs: 500, absentMs: 500 };
  const { listener, port } = await world.listener({ limits });
  wire = await createFlakyWire(port);
  const expectation = world.expect(listener, [await world.incoming("disk")]);
  const tapOutgoing: FrameTap = type => {
    if (type === "data") wire.goSilent();
  };
  const quick = { idleMs: 200, connectMs: 300, attempts: 2, retryDelayMs: 10 };
  const done = world.send(wire.port, ["disk"], { limits: quick }, { tapOutgoing });
  expect(["timeout", "unreachable"]).toContain(await faultOf(done));
  expect(await faultOf(expectation.done)).toBe("unreachable");
});

describe("a source whose data is not taken", () => {
  it("gives up a peer that says nothing either, and goes on over the next connection", async () => {
    const { listener, port } = await world.listener();
    wire = await createFlakyWire(port);
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    let stalls = 0;
    const tapOutgoing: FrameTap = type => {
      if (type === "data" && stalls === 0) wire.stall({ answers: false });
      if (type === "data") stalls += 1;
    };
    const limits = { idleMs: 400, retryDelayMs: 10 };
    const summary = await world.send(wire.port, ["disk"], { connections: 1, limits }, { tapOutgoing });
    // A target whose disk is slow for that long is given up once more.
    expect(summary.reconnections).toBeGreaterThan(0);
    await expectation.done;
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
  });

  it("waits for a peer that still sends its pings", async () => {
    const { listener, port } = await world.listener({ limits: { idleMs: 3000 } });
    wire = await createFlakyWire(port);
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    let isStalled = false;
    const tapOutgoing: FrameTap = type => {
      if (type !== "data" || isStalled) return;
      isStalled = true;
      wire.stall({ answers: true });
      setTimeout(() => wire.flow(), 2600);
    };
    const limits = { idleMs: 2200 };
    const summary = await world.send(wire.port, ["disk"], { connections: 1, limits }, { tapOutgoing });
    expect(summary.reconnections).toBe(0);
    await expectation.done;
  });
});
