/** The ssh carrier against a real sshd: what it carries, what it refuses, and that nothing is lost with it. */

import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type SshAccess, SshCarrier } from "../../agent/os/ssh-carrier.js";
import type { FrameTap } from "../../agent/transfer/link.js";
import { probePath } from "../../agent/transfer/probe-path.js";
import { SshDaemon } from "./support/ssh-daemon.js";
import { areEqual, createWorld, engine, faultOf, MIB, until, type World } from "./support/transfer-world.js";

const SIZE = 96 * MIB;
let world: World;
let sshd: SshDaemon;

beforeEach(async () => {
  world = await createWorld();
  sshd = await SshDaemon.start(world.directory);
  await writeFile(world.source("disk"), randomBytes(SIZE));
});

afterEach(async () => {
  await sshd.kill();
  await world.dispose();
});

const carrierOf = (changes: Partial<SshAccess> = {}) => new SshCarrier({ ...sshd.access, ...changes });

/** A target that waits for the disk, and a source that sends it. */
async function copy(more: Parameters<World["send"]>[2] = {}, deps: Parameters<World["send"]>[3] = {}) {
  const { listener, port } = await world.listener();
  const expectation = world.expect(listener, [await world.incoming("disk")]);
  const sent = world.send(port, ["disk"], { carrier: carrierOf(), ...more }, deps);
  return { port, expectation, sent };
}

describe("disk data through the target's sshd", () => {
  it("arrives, over two connections, with a key that may do nothing but reach the data port", async () => {
    const { listener, port } = await world.listener();
    sshd.authorize(`restrict,port-forwarding,permitopen="127.0.0.1:${port}"`);
    const expectation = world.expect(listener, [await world.incoming("disk")]);
    const { wireBytes, rootDigests } = await world.send(port, ["disk"], {
      carrier: carrierOf(),
      connections: 2,
    });
    const [file] = (await expectation.done).files;
    expect(rootDigests.get("disk")).toBe(file?.rootDigest);
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
    expect(wireBytes).toBeGreaterThan(SIZE);
    expect(sshd.log).toMatch(/userauth-request/);
    expect(sshd.log.match(/Accepted publickey/g)).toHaveLength(2);
    expect(sshd.log.match(/kex: client->server cipher: (\S+)/)?.[1]).toBe("aes128-gcm@openssh.com");
  });

  it("goes on where it was when the sshd was killed", async () => {
    let isCut = false;
    const verified: number[] = [];
    const sentAgain: number[] = [];
    const tapIncoming: FrameTap = (type, { offset = 0 }) => {
      if (type === "verified" || type === "have") verified.push(offset);
      if (type !== "verified" || isCut) return;
      isCut = true;
      void sshd.kill().then(() => sshd.run());
    };
    const tapOutgoing: FrameTap = (type, { offset = 0 }) => {
      if (type === "data" && verified.includes(offset)) sentAgain.push(offset);
    };
    const { expectation, sent } = await copy({ connections: 1 }, { tapIncoming, tapOutgoing });
    const { reconnections, resumedBytes } = await sent;
    expect((await expectation.done).resumedBytes).toBe(resumedBytes);
    expect(reconnections).toBeGreaterThan(0);
    expect(resumedBytes).toBeGreaterThanOrEqual(32 * MIB);
    expect(sentAgain).toEqual([]);
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
  });

  it("ends within a second when it is cancelled, and leaves no connection", async () => {
    const cancel = new AbortController();
    let atMs = 0;
    const tapOutgoing: FrameTap = type => {
      if (type !== "data" || atMs > 0) return;
      atMs = performance.now();
      cancel.abort();
    };
    const { sent } = await copy({ signal: cancel.signal }, { tapOutgoing });
    expect(await faultOf(sent)).toBe("cancelled");
    expect(performance.now() - atMs).toBeLessThan(1000);
    const left = () => (sshd.log.match(/Accepted publickey/g) ?? []).length;
    const gone = () => (sshd.log.match(/Connection closed|Closing connection/g) ?? []).length;
    await until(() => gone() >= left(), "sshd has no connection any more");
  });

  it("is measured before the guest stops, by the same way", async () => {
    const { listener, port } = await world.listener();
    const who = { migrationId: "m1", serverId: "s1", epoch: 1, token: world.token };
    listener.admitProbe({ ...who, sourceHost: "h1" });
    const to = { address: "127.0.0.1", port, expectHost: "h2", tls: () => world.sourceTls };
    const probe = await probePath({ engine, ...to, ...who, carrier: carrierOf() });
    expect(probe.sendBytesPerSecond).toBeGreaterThan(MIB);
    expect(sshd.log).toContain("Accepted publickey");
  });
});

describe("an ssh carrier", () => {
  const faultWith = async (changes: Partial<SshAccess>) => {
    const { sent } = await copy({ carrier: carrierOf(changes) });
    return await sent.catch((thrown: unknown) => thrown);
  };

  it("shows its key to no sshd whose host key is another one, or not known", async () => {
    const [type = ""] = sshd.hostKey.split(" ");
    const other = Buffer.concat([
      Buffer.from(sshd.hostKey.split(" ")[1] ?? "", "base64").subarray(0, 19),
      randomBytes(32),
    ]);
    const wrong = `[h2]:${sshd.port} ${type} ${other.toString("base64")}`;
    expect(await faultWith({ knownHosts: () => wrong })).toMatchObject({
      code: "unauthenticated",
      detail: { have: expect.stringMatching(/^SHA256:/), need: expect.stringMatching(/^SHA256:/) },
    });
    expect(await faultWith({ knownHosts: () => "" })).toMatchObject({
      code: "refused",
      message: expect.stringContaining("host key is not known"),
      detail: { fix: expect.stringContaining("ssh-keyscan") },
    });
    const revoked = `@revoked * ${sshd.hostKey}${sshd.access.knownHosts()}`;
    expect(await faultWith({ knownHosts: () => revoked })).toMatchObject({ code: "unauthenticated" });
    expect(sshd.log).not.toMatch(/userauth-request/);
  });

  it("says what is missing when its key is not let in, or may not reach the port", async () => {
    sshd.authorize("# ");
    expect(await faultWith({})).toMatchObject({
      code: "permission-denied",
      detail: { fix: expect.stringContaining("authorized_keys") },
    });
    sshd.authorize(`restrict,port-forwarding,permitopen="127.0.0.1:1"`);
    expect(await faultWith({})).toMatchObject({
      code: "permission-denied",
      detail: { need: expect.stringContaining("permitopen=") },
    });
  });

  it("is as good as not connected when the sshd or the data port is not there", async () => {
    const { listener, port } = await world.listener();
    await listener.close();
    expect(await faultOf(world.send(port, ["disk"], { carrier: carrierOf() }))).toBe("unreachable");
    await sshd.kill();
    expect(await faultOf(world.send(port, ["disk"], { carrier: carrierOf() }))).toBe("unreachable");
  });
});
