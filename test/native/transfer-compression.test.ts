/** Compressed on its way: by policy, only where both ends can, and never at the price of a byte. */

import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { areEqual, createWorld, engine, faultOf, KIB, MIB, type World } from "./support/transfer-world.js";

const SIZE = 24 * MIB;
/** Text, all over the disk. */
const shrinking = () =>
  Buffer.alloc(SIZE, Array.from({ length: 999 }, (_, index) => `line ${index}\n`).join(""));
const without = { ...engine, compressions: [] };

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.dispose());

async function copy(
  data: Buffer,
  more: Parameters<World["send"]>[2],
  at: Parameters<World["listener"]>[0] = {},
  deps: Parameters<World["send"]>[3] = {},
) {
  await writeFile(world.source("disk"), data);
  const { listener, port } = await world.listener(at);
  const { done } = world.expect(listener, [await world.incoming("disk")]);
  done.catch(() => {});
  const { wireBytes } = await world.send(port, ["disk"], more, deps);
  await done;
  expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
  return wireBytes;
}

describe.runIf(engine.compressions.includes("zstd"))("disk data", () => {
  it("that shrinks crosses in a fraction under `zstd`, and what arrives is the same", async () => {
    expect(await copy(shrinking(), { compression: "zstd" })).toBeLessThan(SIZE / 4);
  });

  it("goes as it is under `off`", async () => {
    expect(await copy(shrinking(), { compression: "off" })).toBeGreaterThan(SIZE);
  });

  it("that does not shrink goes as it is", async () => {
    expect(await copy(randomBytes(SIZE), { compression: "zstd" })).toBeGreaterThan(SIZE);
  });

  it("is compressed under `auto` where bandwidth is what is short", async () => {
    const narrow = new engine.TokenBucket();
    narrow.setRate(32 * MIB);
    const wireBytes = await copy(shrinking(), { compression: "auto", bandwidth: [narrow], connections: 1 });
    // The first window of leaves shows that the link is waited for.
    expect(wireBytes).toBeGreaterThan(32 * 256 * KIB);
    expect(wireBytes).toBeLessThan((SIZE * 2) / 3);
  });

  it("is never compressed for a target that cannot expand it", async () => {
    expect(await copy(shrinking(), { compression: "zstd" }, { engine: without })).toBeGreaterThan(SIZE);
  });

  it("that was damaged while it was compressed ends the transfer as a breach of the protocol", async () => {
    const damage = (type: string, _fields: object, payload: Buffer) => {
      if (type === "data") payload.fill(0x55, Math.floor(payload.length / 2));
    };
    const copying = copy(shrinking(), { compression: "zstd" }, {}, { tapOutgoing: damage });
    expect(await faultOf(copying)).toBe("invalid-argument");
  });
});

describe("a build without zstd", () => {
  it("says so when it is to compress always, before it connects", async () => {
    const copying = copy(randomBytes(1000), { compression: "zstd", port: 1 }, {}, { engine: without });
    await expect(copying).rejects.toMatchObject({ code: "unsupported", detail: { fix: expect.any(String) } });
  });

  it("copies all the same under `auto`", async () => {
    expect(await copy(shrinking(), { compression: "auto" }, {}, { engine: without })).toBeGreaterThan(SIZE);
  });
});
