/** The frame parser against everything that can come out of a socket: by itself, and at an open port. */

import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { connect } from "node:tls";
import { zstdCompressSync } from "node:zlib";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeHello } from "../../agent/transfer/messages.js";
import { frameOf, type Header, headerOf } from "./support/raw-frames.js";
import { areEqual, createWorld, engine, faultOf, KIB, MIB, type World } from "./support/transfer-world.js";

const LEAF = 256 * KIB;

describe("a header", () => {
  it.each<[string, Header, RegExp]>([
    ["another magic number", { magic: 1, type: 7 }, /magic/],
    ["type 0", { type: 0 }, /unknown frame type 0/],
    ["an unknown type", { type: 200 }, /unknown frame type 200/],
    ["unknown flags", { type: 7, flags: 0x82 }, /flags/],
    ["a payload beyond the limit", { type: 7, length: LEAF + 1 }, /limit/],
    ["a payload where none belongs", { type: 15, length: 1 }, /limit/],
    ["a compressed payload where none belongs", { type: 9, length: 8, wire: 4 }, /compressed/],
    ["nothing for a payload", { type: 7, length: 5, wire: 0 }, /compressed/],
    ["more on the wire than in it", { type: 7, length: 5, wire: 6 }, /longer than its payload/],
    ["an offset beyond all files", { type: 7, offset: 2n ** 60n }, /offset/],
  ])("with %s is refused before anything is allocated", (_, header, message) => {
    expect(() => engine.checkHeader(headerOf(header))).toThrow(message);
  });

  it("of any bytes at all is a header within its limits, or refused", () => {
    const damage = fc.array(fc.record({ at: fc.nat(59), value: fc.nat(255) }), { maxLength: 6 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 18 }), damage, (type, list) => {
        const header = headerOf({ type, length: 8 });
        for (const { at, value } of list) header[at] = value;
        try {
          expect(engine.checkHeader(header)).toBeLessThanOrEqual(LEAF);
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: "ERR_TRANSFER_PROTOCOL" });
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("an open port", () => {
  let world: World;

  beforeEach(async () => {
    world = await createWorld();
    await writeFile(world.source("disk"), randomBytes(3 * MIB));
  });

  afterEach(async () => {
    await world.dispose();
  });

  /** Says hello as the source would, then these bytes; resolves when the target has closed. */
  async function say(port: number, bytes: Buffer, compressions: string[] = []): Promise<void> {
    const socket = connect({
      ...world.sourceTls,
      host: "127.0.0.1",
      port,
      checkServerIdentity: () => undefined,
    });
    socket.on("error", () => {}).resume();
    await new Promise(resolve => socket.once("secureConnect", resolve));
    const closed = new Promise(resolve => socket.once("close", resolve));
    const claims = { purpose: "copy" as const, migrationId: "m1", serverId: "s1", epoch: 1, connection: 0 };
    const rest = {
      attempt: randomBytes(16).toString("hex"),
      files: ["disk"],
      algorithms: ["sha256"],
      compressions,
    };
    const binding = socket.exportKeyingMaterial(32, "EXPORTER-ferry-transfer", Buffer.alloc(0));
    const hello = encodeHello({ ...claims, ...rest }, world.token, binding);
    socket.end(Buffer.concat([headerOf({ type: 1, length: hello.length }), hello, bytes]));
    await closed;
  }

  it.each<[string, Buffer]>([
    ["data for a file that is not open", frameOf({ type: 7 }, Buffer.alloc(100, 1))],
    ["a seal without a segment", frameOf({ type: 9 }, Buffer.alloc(8, 1))],
    ["a zero run of no length", frameOf({ type: 8 }, Buffer.alloc(8))],
    ["a file that was never announced", frameOf({ type: 3, file: 9 }, Buffer.from("{}"))],
    ["an open that is no JSON", frameOf({ type: 3 }, Buffer.from("nonsense"))],
    ["a verdict, which is the target's to give", frameOf({ type: 10 }, Buffer.alloc(8))],
    ["an oversized frame", headerOf({ type: 7, length: 2 ** 31 })],
    ["noise", randomBytes(200 * KIB)],
  ])("answers %s with a refusal, and ends the transfer", async (_, bytes) => {
    const { listener, port } = await world.listener();
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    await say(port, bytes);
    expect(await faultOf(expectation.done)).toBe("invalid-argument");
  });

  const compressed = (wire: Buffer, length = LEAF) =>
    Buffer.concat([headerOf({ type: 7, length, wire: wire.length }), wire]);

  it.each<[string, Buffer]>([
    ["expands to far more than a leaf", zstdCompressSync(Buffer.alloc(64 * MIB))],
    ["expands to a byte more than it says", zstdCompressSync(Buffer.alloc(LEAF + 1, 7))],
    ["expands to a byte less than it says", zstdCompressSync(Buffer.alloc(LEAF - 1, 7))],
    ["is several, and too much together", Buffer.concat(Array(5).fill(zstdCompressSync(Buffer.alloc(LEAF))))],
    ["is noise", randomBytes(5000)],
    ["ends in the middle", zstdCompressSync(randomBytes(10_000)).subarray(0, 9000)],
  ])("refuses a compressed frame that %s", async (_, wire) => {
    const { listener, port } = await world.listener();
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    await say(port, compressed(wire), ["zstd"]);
    await expect(expectation.done).rejects.toThrow(/compressed frame that is not what it says/);
  });

  it("refuses a compressed frame that was not agreed on", async () => {
    const { listener, port } = await world.listener();
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    await say(port, compressed(zstdCompressSync(Buffer.alloc(LEAF, 7))));
    await expect(expectation.done).rejects.toThrow(/not agreed on/);
  });

  it("takes a frame that is cut off for a lost connection, and goes on with the next", async () => {
    const { listener, port } = await world.listener();
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    await say(port, frameOf({ type: 7 }, Buffer.alloc(1000)).subarray(0, 500));
    await world.send(port, ["disk"]);
    await expectation.done;
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
  });
});
