/** What can go wrong between two agents: each ends in a clean fault on both sides, or heals, and nothing is lost. */

import { randomBytes, X509Certificate } from "node:crypto";
import { appendFileSync, truncateSync } from "node:fs";
import { open, readdir, readFile, symlink, truncate, writeFile } from "node:fs/promises";
import { connect } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { TlsMaterial } from "../../agent/transfer/channel.js";
import type { FrameTap } from "../../agent/transfer/link.js";
import { createToken } from "../../agent/transfer/messages.js";
import type { Expectation } from "../../agent/transfer/target.js";
import { areEqual, createWorld, faultOf, KIB, MIB, type World } from "./support/transfer-world.js";

let world: World;

beforeEach(async () => {
  world = await createWorld();
  await writeFile(world.source("disk"), randomBytes(40 * MIB));
});

afterEach(async () => {
  await world.dispose();
});

const inTarget = () => readdir(`${world.directory}/target`);
const messageOf = (work: Promise<unknown>) =>
  work.then(
    () => "",
    (thrown: Error) => thrown.message,
  );

/** Flips one bit of the data frame at this offset, at most `times` times. */
function flipAt(offset: number, times: number): FrameTap {
  let left = times;
  return (type, fields, payload) => {
    if (type !== "data" || fields.offset !== offset || left === 0) return;
    left -= 1;
    payload.writeUInt8(payload.readUInt8(1000) ^ 4, 1000);
  };
}

/** Flips one bit of the part file on disk, after the flush and before the read-back, at most `times` times. */
function flipOnDisk(offset: number, times: number) {
  let left = times;
  return async (partPath: string, range: { first: number; count: number }) => {
    const leaf = Math.floor(offset / (256 * KIB));
    if (left === 0 || leaf < range.first || leaf >= range.first + range.count) return;
    left -= 1;
    const handle = await open(partPath, "r+");
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, offset);
    byte.writeUInt8(byte.readUInt8(0) ^ 1);
    await handle.write(byte, 0, 1, offset);
    await handle.close();
  };
}

describe("a wrong byte", () => {
  it("in flight is found by the read-back and sent again", async () => {
    const { listener, port } = await world.listener({ tapIncoming: flipAt(MIB, 1) });
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    await world.send(port, ["disk"]);
    await expectation.done;
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
  });

  it("in flight again and again is a corrupt copy that names file and offset, and gets no final name", async () => {
    const { listener, port } = await world.listener();
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    const sent = world.send(port, ["disk"], {}, { tapOutgoing: flipAt(MIB, 9) });
    expect(await messageOf(sent)).toContain(`disk at offset ${MIB}`);
    expect(await faultOf(sent)).toBe("corrupt");
    expect(await faultOf(expectation.done)).toBe("corrupt");
    expect(await inTarget()).not.toContain("disk");
  });

  it("on the target's disk is found before the copy is called one", async () => {
    const { listener, port } = await world.listener({ beforeReadBack: flipOnDisk(35 * MIB + 5, 9) });
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    const sent = world.send(port, ["disk"]);
    expect(await faultOf(sent)).toBe("corrupt");
    expect(await messageOf(expectation.done)).toContain(`disk at offset ${35 * MIB}`);
    expect(await inTarget()).not.toContain("disk");
  });

  it("on the target's disk, once, is written again", async () => {
    const { listener, port } = await world.listener({ beforeReadBack: flipOnDisk(35 * MIB + 5, 1) });
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    await world.send(port, ["disk"], { connections: 1 });
    await expectation.done;
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
  });

  it("in what should be a hole is found and cleared", async () => {
    await truncate(world.source("disk"), 80 * MIB);
    const { listener, port } = await world.listener({ beforeReadBack: flipOnDisk(60 * MIB, 1) });
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    await world.send(port, ["disk"]);
    await expectation.done;
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
  });
});

describe("who may send", () => {
  let port: number;
  let expectation: Expectation;

  beforeEach(async () => {
    const started = await world.listener();
    port = started.port;
    expectation = world.expect(started.listener, [await world.incoming("disk")]);
  });

  const sendAs = (material: TlsMaterial) => world.send(port, ["disk"], { tls: () => material });

  it("is who proves the token", async () => {
    expect(await faultOf(world.send(port, ["disk"], { token: createToken() }))).toBe("unauthenticated");
  });

  it("is the host that the transfer comes from, not another agent with the token", async () => {
    expect(await faultOf(sendAs(await world.authority.agent("h3")))).toBe("permission-denied");
  });

  it("is of our trust domain", async () => {
    expect(await faultOf(sendAs(await world.authority.agent("h1", "other.example")))).toBe("unauthenticated");
  });

  it("is an agent, not a user", async () => {
    const user = await world.authority.withUri("spiffe://test.ferry/user/h1");
    expect(await faultOf(sendAs(user))).toBe("unauthenticated");
  });

  it("is certified by our authority", async () => {
    const stranger = await createWorld();
    try {
      const { cert, key } = stranger.sourceTls;
      const sent = sendAs({ ca: world.sourceTls.ca, cert, key });
      await expect(sent).rejects.toMatchObject({
        code: "unreachable",
        detail: { fix: expect.stringContaining("certificates") },
      });
    } finally {
      await stranger.dispose();
    }
  });

  it.each([
    ["expired", -86_400_000],
    ["is not valid yet", 86_400_000],
  ])("is nobody whose certificate has %s", async (_what, offsetMs) => {
    const material = await world.authority.withUri("spiffe://test.ferry/agent/h1", Date.now() + offsetMs);
    await expect(sendAs(material)).rejects.toMatchObject({
      code: "unreachable",
      detail: { fix: expect.stringContaining("certificates") },
    });
  });

  it("is nobody whose certificate has been revoked", async () => {
    const lost = await world.authority.agent("h1");
    const revoked = new Set([new X509Certificate(lost.cert).fingerprint256]);
    const careful = await world.listener({ tls: () => ({ ...world.targetTls, revoked }) });
    void world.expect(careful.listener, [await world.incoming("disk")]).done.catch(() => {});
    const sent = world.send(careful.port, ["disk"], { tls: () => lost });
    await expect(sent).rejects.toMatchObject({ code: "unauthenticated", message: /revoked/ });
  });

  it("does not come with the token of another migration", async () => {
    const { listener, port: other } = await world.listener();
    const tokens = { m1: createToken(), m2: createToken() };
    for (const [migrationId, token] of Object.entries(tokens)) {
      const file = await world.incoming("disk", { targetPath: world.target(migrationId) });
      const more = { migrationId, serverId: migrationId, token };
      void world.expect(listener, [file], more).done.catch(() => {});
    }
    const claimed = { migrationId: "m1", serverId: "m1", token: tokens.m2 };
    expect(await faultOf(world.send(other, ["disk"], claimed))).toBe("unauthenticated");
  });

  it("sends the files that are expected, and no others", async () => {
    await writeFile(world.source("more"), "x");
    expect(await faultOf(world.send(port, ["disk", "more"]))).toBe("conflict");
  });

  afterEach(async () => {
    expect(await inTarget()).toEqual([]); // a refused sender has touched nothing
    await world.send(port, ["disk"]); // and has not spoilt the transfer for who may
    await expectation.done;
  });
});

it("a source refuses a target that is another host", async () => {
  const { listener, port } = await world.listener({ tls: () => world.sourceTls });
  world.expect(listener, [await world.incoming("disk")]);
  expect(await faultOf(world.send(port, ["disk"]))).toBe("unauthenticated");
});

describe("epochs", () => {
  it("an older one is refused for ever", async () => {
    const { listener, port } = await world.listener();
    world.expect(listener, [await world.incoming("disk")], { epoch: 7 });
    expect(await faultOf(world.send(port, ["disk"], { epoch: 6 }))).toBe("stale-epoch");
    expect(() => world.expect(listener, [], { epoch: 6 })).toThrow(/refused/);
  });

  it("a newer one ends the older transfer, and is answered only when that writes nothing more", async () => {
    const verifying = Promise.withResolvers<void>();
    const raised = Promise.withResolvers<void>();
    let isWriting = true;
    const beforeReadBack = async () => {
      verifying.resolve();
      await raised.promise;
      isWriting = false;
    };
    const { listener, port } = await world.listener({ beforeReadBack });
    const older = faultOf(world.expect(listener, [await world.incoming("disk")], { epoch: 1 }).done);
    const sent = faultOf(world.send(port, ["disk"], { connections: 1 }));
    await verifying.promise;
    setImmediate(raised.resolve);
    await listener.raiseEpoch("s1", 2);
    expect(isWriting).toBe(false);
    expect(await older).toBe("stale-epoch");
    expect(await sent).toBe("stale-epoch");
  });
});

describe("a final name that is taken", () => {
  it("is left alone and refused", async () => {
    await writeFile(world.target("disk"), "somebody else's");
    const { listener, port } = await world.listener();
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    expect(await faultOf(world.send(port, ["disk"]))).toBe("already-exists");
    expect(await faultOf(expectation.done)).toBe("already-exists");
    expect(await readFile(world.target("disk"), "utf8")).toBe("somebody else's");
    expect(await inTarget()).toEqual(["disk"]);
  });

  it("by a link is not followed", async () => {
    await symlink("/etc/hostname", world.target("disk"));
    const { listener, port } = await world.listener();
    world.expect(listener, [await world.incoming("disk")]);
    expect(await faultOf(world.send(port, ["disk"]))).toBe("already-exists");
    expect(await inTarget()).toEqual(["disk"]);
  });

  it("during the copy is not replaced either", async () => {
    const occupy = async () => await writeFile(world.target("disk"), "came later");
    const { listener, port } = await world.listener({ beforeReadBack: occupy });
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    expect(await faultOf(world.send(port, ["disk"]))).toBe("already-exists");
    expect(await faultOf(expectation.done)).toBe("already-exists");
    expect(await readFile(world.target("disk"), "utf8")).toBe("came later");
  });
});

describe("a source file", () => {
  it.each([
    ["shrinks", () => truncateSync(world.source("disk"), 10 * MIB)],
    ["is written to", () => appendFileSync(world.source("disk"), "more")],
  ])("that %s during the copy is a conflict on both sides", async (_, disturb) => {
    let isDisturbed = false;
    // At once, while the connection waits for the tap: on a busy machine a change that is only begun comes after the copy.
    const tapOutgoing: FrameTap = type => {
      if (type !== "data" || isDisturbed) return;
      isDisturbed = true;
      disturb();
    };
    const { listener, port } = await world.listener();
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    expect(await faultOf(world.send(port, ["disk"], { connections: 1 }, { tapOutgoing }))).toBe("conflict");
    expect(await faultOf(expectation.done)).toBe("conflict");
    expect(await inTarget()).not.toContain("disk");
  });

  it("that is not the fenced one is refused", async () => {
    const { port } = await world.listener();
    const identity = { device: "0:0", inode: "1", birthNs: "0" };
    const files = [{ id: "disk", path: world.source("disk"), identity }];
    expect(await faultOf(world.send(port, ["disk"], { files }))).toBe("conflict");
  });
});

describe("a cancelled transfer", () => {
  it.each(["source", "target"])("by the %s ends on both sides within a second", async side => {
    const controller = new AbortController();
    const begun = Promise.withResolvers<void>();
    const tapIncoming: FrameTap = type => {
      if (type === "data") begun.resolve();
    };
    const { listener, port } = await world.listener({ tapIncoming });
    const { signal } = controller;
    const expectation = world.expect(
      listener,
      [await world.incoming("disk")],
      side === "target" ? { signal } : {},
    );
    const sent = world.send(port, ["disk"], side === "source" ? { signal } : {});
    const both = Promise.all([faultOf(sent), faultOf(expectation.done)]);
    await begun.promise;
    const startedMs = performance.now();
    controller.abort();
    expect(await both).toEqual(["cancelled", "cancelled"]);
    expect(performance.now() - startedMs).toBeLessThan(1000);
  });
});

it("garbage from a certified peer is refused and harms nobody else", async () => {
  const { listener, port } = await world.listener();
  const expectation = world.expect(listener, [await world.incoming("disk")]);
  const socket = connect({
    ...world.sourceTls,
    host: "127.0.0.1",
    port,
    checkServerIdentity: () => undefined,
  });
  const closed = new Promise(resolve => socket.once("close", resolve));
  socket.on("error", () => {}).resume();
  socket.write(randomBytes(100 * KIB));
  await closed;
  await world.send(port, ["disk"]);
  await expectation.done;
});

it("a transfer to which nobody comes is unreachable", async () => {
  const limits = { idleMs: 2000, handshakeMs: 2000, absentMs: 50 };
  const { listener } = await world.listener({ limits });
  const expectation = world.expect(listener, [await world.incoming("disk")]);
  expect(await faultOf(expectation.done)).toBe("unreachable");
});

it("a target that does not listen is unreachable, after a few tries", async () => {
  const { listener, port } = await world.listener();
  await listener.close();
  expect(await faultOf(world.send(port, ["disk"]))).toBe("unreachable");
});
