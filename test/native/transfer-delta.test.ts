/** A second pass over a target that is there already: only leaves that differ travel, and what comes out is the source. */

import { randomBytes } from "node:crypto";
import { type FileHandle, open, readdir, stat, truncate, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FrameTap } from "../../agent/transfer/link.js";
import {
  areEqual,
  createWorld,
  engine,
  faultOf,
  KIB,
  MIB,
  type World,
  writeSparse,
} from "./support/transfer-world.js";

const LEAF = 256 * KIB;
const SIZE = 64 * MIB + 1000;
let world: World;
let source: FileHandle;
let leavesSent: Set<number>;

const countLeaves: FrameTap = (type, { offset = 0 }) => {
  if (type === "data") leavesSent.add(Math.floor(offset / LEAF));
};

beforeEach(async () => {
  world = await createWorld();
  leavesSent = new Set();
  // Data, a hole, data.
  await writeSparse(world.source("disk"), SIZE, [
    [0, 30 * MIB],
    [50 * MIB, 14 * MIB + 1000],
  ]);
  source = await open(world.source("disk"), "r+");
});

afterEach(async () => {
  await source.close();
  await world.dispose();
});

async function pass(isLastPass: boolean, more: object = {}) {
  leavesSent.clear();
  const { listener, port } = await world.listener();
  const expectation = world.expect(listener, [await world.incoming("disk")], { isLastPass, ...more });
  const summary = await world.send(port, ["disk"], {}, { tapOutgoing: countLeaves });
  return { receipt: await expectation.done, summary };
}

const change = (offset: number, bytes: Buffer) => source.write(bytes, 0, bytes.length, offset);

describe.each([true, false])("a last pass (manifest trusted: %s)", trustsManifest => {
  it("sends what has changed and nothing else", async () => {
    await pass(false);
    expect(await readdir(`${world.directory}/target`)).toEqual(["disk.part-m1", "disk.part-m1.journal"]);
    await change(5 * MIB + 17, randomBytes(100));
    await change(40 * MIB, randomBytes(10)); // in what was a hole
    await change(10 * MIB, Buffer.alloc(LEAF)); // zeros over a whole leaf
    await change(12 * MIB + 64 * KIB, Buffer.alloc(100 * KIB)); // and within one
    const { receipt, summary } = await pass(true, { trustsManifest });
    expect([...leavesSent].toSorted((a, b) => a - b)).toEqual([20, 48, 160]);
    expect(summary.wireBytes).toBeLessThan(MIB);
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
    expect(receipt.files[0]?.rootDigest).toBe(summary.rootDigests.get("disk"));
  });

  it("that is cut off is gone on with, and believes nothing that it may have overwritten", async () => {
    await pass(false);
    for (let at = 0; at < 30; at += 1) await change(at * MIB, randomBytes(LEAF));
    const cancel = new AbortController();
    const { listener, port } = await world.listener();
    const expectation = world.expect(listener, [await world.incoming("disk")], { trustsManifest });
    let seen = 0;
    const tapOutgoing: FrameTap = type => {
      if (type === "data") seen += 1;
      if (seen > 10) cancel.abort();
    };
    const sent = world.send(port, ["disk"], { signal: cancel.signal, connections: 1 }, { tapOutgoing });
    expect(await faultOf(sent)).toBe("cancelled");
    expect(await faultOf(expectation.done)).toBe("cancelled");
    await pass(true, { trustsManifest });
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
    expect(leavesSent.size).toBeLessThanOrEqual(30);
  });
});

it("a pass over a source that did not change sends nothing", async () => {
  await pass(false);
  await pass(true);
  expect(leavesSent.size).toBe(0);
  expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
});

it("a part whose bytes were changed behind its journal is found out when its manifest is not trusted", async () => {
  await pass(false);
  const part = await open(`${world.target("disk")}.part-m1`, "r+");
  await part.write(randomBytes(10), 0, 10, 3 * MIB);
  await part.sync();
  await part.close();
  await change(20 * MIB, randomBytes(10));
  await pass(true, { trustsManifest: false });
  expect([...leavesSent].toSorted((a, b) => a - b)).toEqual([12, 80]);
  expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
});

it("a source that has grown is copied anew", async () => {
  await pass(false);
  await truncate(world.source("disk"), SIZE + MIB);
  const { receipt } = await pass(true);
  expect(receipt.files[0]?.sizeBytes).toBe(SIZE + MIB);
  expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
});

describe("a limit on bandwidth", () => {
  const RATE = 16 * MIB;

  async function timed(bandwidth: readonly InstanceType<typeof engine.TokenBucket>[], during = () => {}) {
    await writeFile(world.source("disk"), randomBytes(16 * MIB));
    const { listener, port } = await world.listener();
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    const startedMs = performance.now();
    const sent = world.send(port, ["disk"], { bandwidth });
    during();
    await sent;
    await expectation.done;
    return performance.now() - startedMs;
  }

  it("is kept by all connections together", async () => {
    const bucket = new engine.TokenBucket();
    bucket.setRate(RATE);
    expect(await timed([bucket])).toBeGreaterThan(850);
  });

  it("is that of the tighter of two", async () => {
    const [wide, tight] = [new engine.TokenBucket(), new engine.TokenBucket()];
    wide.setRate(100 * RATE);
    tight.setRate(RATE);
    expect(await timed([wide, tight])).toBeGreaterThan(850);
  });

  it("counts from the moment that it is changed, up or down", async () => {
    const bucket = new engine.TokenBucket();
    bucket.setRate(MIB / 4); // would take a minute
    const lift = () => setTimeout(() => bucket.setRate(0), 300);
    const elapsedMs = await timed([bucket], () => void lift());
    expect(elapsedMs).toBeGreaterThan(250);
    expect(elapsedMs).toBeLessThan(20_000);
  });

  it("does not delay a cancel", async () => {
    const bucket = new engine.TokenBucket();
    bucket.setRate(1000);
    const cancel = new AbortController();
    const { listener, port } = await world.listener();
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    const sent = world.send(port, ["disk"], { bandwidth: [bucket], signal: cancel.signal });
    const journal = `${world.target("disk")}.part-m1.journal`;
    while ((await stat(journal).catch(() => undefined)) === undefined) await new Promise(setImmediate);
    const startedMs = performance.now();
    cancel.abort();
    expect(await faultOf(sent)).toBe("cancelled");
    expect(await faultOf(expectation.done)).toBe("cancelled");
    expect(performance.now() - startedMs).toBeLessThan(1000);
  });
});
