/**
 * Disks that are large and hold little: time and memory follow what they hold, not how large they are. The figures are
 * printed. Both ends are in this one process.
 */

import { open, stat, truncate, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createWorld, MIB, type World, writeSparse } from "./support/transfer-world.js";

const GIB = 1024 * MIB;
const TIB = 1024 * GIB;
/** Both ends' buffers, with what JavaScript needs meanwhile. */
const MOST_GROWTH_MIB = 32;

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.dispose());

const residentMib = () => process.memoryUsage.rss() / MIB;

/** Copies the disk; answers how long it took and by how much the process grew meanwhile. */
async function copy(name: string) {
  const { listener, port } = await world.listener();
  const { done } = world.expect(listener, [await world.incoming(name)]);
  const startedMs = performance.now();
  const beforeMib = residentMib();
  let peakMib = beforeMib;
  const watch = setInterval(() => {
    peakMib = Math.max(peakMib, residentMib());
  }, 5);
  try {
    const { wireBytes } = await world.send(port, [name]);
    const receipt = await done;
    const seconds = (performance.now() - startedMs) / 1000;
    const growthMib = Math.max(peakMib, residentMib()) - beforeMib;
    console.log(
      `${name}: ${seconds.toFixed(2)} s, grew by ${growthMib.toFixed(1)} MiB, ${wireBytes} bytes sent`,
    );
    return { seconds, growthMib, wireBytes, root: receipt.files[0]?.rootDigest };
  } finally {
    clearInterval(watch);
  }
}

const MARKS = Array.from({ length: 64 }, (_, index) => [index * GIB + 5 * MIB, MIB] as const);

/** What was written is there, and the rest takes no room. */
async function expectSameMarks(name: string): Promise<void> {
  const [one, other] = [await open(world.source(name)), await open(world.target(name))];
  for (const [offset, length] of MARKS) {
    const [expected, found] = await Promise.all(
      [one, other].map(file => file.read(Buffer.alloc(length), 0, length, offset)),
    );
    expect(found?.buffer.equals(expected?.buffer ?? Buffer.alloc(0))).toBe(true);
  }
  for (const file of [one, other]) await file.close();
}

describe("a large disk", () => {
  beforeEach(async () => {
    // What a process needs for its first copy is no growth of the second.
    await writeFile(world.source("first"), Buffer.alloc(32 * MIB, 1));
    await copy("first");
  });

  it("of 1 TiB without any data crosses in seconds, in the same memory", async () => {
    await writeFile(world.source("empty"), "");
    await truncate(world.source("empty"), TIB);
    const { seconds, growthMib, wireBytes } = await copy("empty");
    expect((await stat(world.target("empty"))).size).toBe(TIB);
    expect(wireBytes).toBeLessThan(MIB);
    expect(seconds).toBeLessThan(20);
    expect(growthMib).toBeLessThan(MOST_GROWTH_MIB);
  });

  it("of 64 GiB with some data all over it crosses in the same memory", async () => {
    await writeSparse(world.source("sparse"), 64 * GIB, MARKS);
    const { growthMib, wireBytes } = await copy("sparse");
    expect(wireBytes).toBeLessThan(66 * MIB);
    expect(growthMib).toBeLessThan(MOST_GROWTH_MIB);
    expect((await stat(world.target("sparse"))).blocks * 512).toBeLessThan(66 * MIB);
    await expectSameMarks("sparse");
  });
});
