/** What goes with a transfer: the path probe, copies within a host, and a target that runs out of space. */

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestFile } from "../../agent/transfer/digest-file.js";
import type { FrameTap } from "../../agent/transfer/link.js";
import { copyLocally } from "../../agent/transfer/local-copy.js";
import { createToken } from "../../agent/transfer/messages.js";
import { probePath } from "../../agent/transfer/probe-path.js";
import {
  allocatedBytes,
  areEqual,
  createWorld,
  engine,
  faultOf,
  files,
  MIB,
  type World,
  writeSparse,
} from "./support/transfer-world.js";

let world: World;

beforeEach(async () => {
  world = await createWorld();
});

afterEach(async () => {
  await world.dispose();
});

describe("a path probe", () => {
  const identity = { migrationId: "m1", serverId: "s1", epoch: 1 };
  const probe = (port: number, token = world.token) =>
    probePath({
      engine,
      address: "127.0.0.1",
      port,
      tls: () => world.sourceTls,
      expectHost: "h2",
      ...identity,
      token,
    });

  it("measures round trip and throughput both ways", async () => {
    const { listener, port } = await world.listener();
    listener.admitProbe({ ...identity, token: world.token, sourceHost: "h1" });
    const { roundTripMs, sendBytesPerSecond, receiveBytesPerSecond } = await probe(port);
    expect(roundTripMs).toBeGreaterThan(0);
    expect(roundTripMs).toBeLessThan(1000);
    expect(sendBytesPerSecond).toBeGreaterThan(MIB);
    expect(receiveBytesPerSecond).toBeGreaterThan(MIB);
  });

  it("meets the refusals that a transfer would meet", async () => {
    const { listener, port } = await world.listener();
    expect(await faultOf(probe(port))).toBe("not-found");
    const withdraw = listener.admitProbe({ ...identity, token: world.token, sourceHost: "h1" });
    expect(await faultOf(probe(port, createToken()))).toBe("unauthenticated");
    withdraw();
    expect(await faultOf(probe(port))).toBe("not-found");
    await listener.close();
    expect(await faultOf(probe(port))).toBe("unreachable");
  });
});

describe("a copy within the host", () => {
  const request = async (name: string) => ({
    sourcePath: world.source(name),
    target: await world.incoming(name),
    migrationId: "m1",
  });

  beforeEach(async () => {
    await writeSparse(world.source("disk"), 64 * MIB + 5, [
      [MIB + 7, 3 * MIB],
      [64 * MIB, 5],
    ]);
  });

  it("is equal, stays sparse, and says how it was made", async () => {
    const { method, digest } = await copyLocally(files, await request("disk"));
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
    expect(await allocatedBytes(world.target("disk"))).toBeLessThan(4 * MIB);
    expect(["reflink", "copy-range"]).toContain(method);
    expect(digest === undefined).toBe(method === "reflink");
  });

  const cannot = () => Promise.reject(Object.assign(new Error("cannot"), { code: "EXDEV" }));
  const engineOnly = { ...files, clone: cannot, copyRange: cannot };

  it("goes through the engine where the kernel cannot copy, and is read back", async () => {
    const progress: number[] = [];
    const onProgress = (doneBytes: number) => progress.push(doneBytes);
    const { method, digest } = await copyLocally(engineOnly, { ...(await request("disk")), onProgress });
    expect(method).toBe("engine");
    expect(digest).toEqual(await digestFile(files, world.source("disk")));
    expect(progress.at(-1)).toBe(digest?.dataBytes);
    expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
    expect(await allocatedBytes(world.target("disk"))).toBeLessThan(4 * MIB);
  });

  it("goes from one file system to another with its holes, and with the digest of what was there", async () => {
    const other = join(world.directory, "other");
    await mkdir(other);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64m", "tmpfs", other]);
    try {
      const sourcePath = join(other, "disk");
      await writeSparse(sourcePath, 64 * MIB + 5, [
        [3 * MIB + 100, 2 * MIB],
        [64 * MIB, 5],
      ]);
      const { method, digest } = await copyLocally(files, { ...(await request("disk")), sourcePath });
      expect(["copy-range", "engine"]).toContain(method);
      expect(await areEqual(sourcePath, world.target("disk"))).toBe(true);
      expect(await allocatedBytes(world.target("disk"))).toBeLessThan(4 * MIB);
      const { rootDigest, holeBytes } = await digestFile(files, sourcePath);
      expect(digest).toMatchObject({ rootDigest, holeBytes });
    } finally {
      execFileSync("umount", ["--lazy", other]);
    }
  });

  it("that came out different is corrupt and gets no name", async () => {
    const copyWrong: typeof files.copyRange = async (source, from, target, to, length) =>
      await files.copyRange(source, from, target, to + 4096, length);
    const treeThatCopiesWrong: typeof files.newDigestTree = (...args) => {
      const tree = files.newDigestTree(...args);
      const copy: typeof tree.copy = async (source, target, first, count) => {
        const bytes = await tree.copy(source, target, first, count);
        writeSync(target, "x", 2 * MIB);
        return bytes;
      };
      return new Proxy(tree, {
        get: (_, name) => {
          const value = name === "copy" ? copy : Reflect.get(tree, name, tree);
          return typeof value === "function" ? value.bind(tree) : value;
        },
      });
    };
    for (const wrong of [
      { ...files, clone: cannot, copyRange: copyWrong },
      { ...engineOnly, newDigestTree: treeThatCopiesWrong },
    ]) {
      expect(await faultOf(copyLocally(wrong, await request("disk")))).toBe("corrupt");
      expect(await faultOf(readFile(world.target("disk")))).toBe("ENOENT");
    }
  });

  it("of a source that shrinks meanwhile is refused", async () => {
    const shrinking: typeof files.facts = async fd => ({ ...(await files.facts(fd)), sizeBytes: 65 * MIB });
    for (const shrunk of [
      { ...engineOnly, facts: shrinking },
      { ...engineOnly, copyRange: files.copyRange, facts: shrinking },
    ]) {
      expect(await faultOf(copyLocally(shrunk, await request("disk")))).toBe("conflict");
      expect(await faultOf(readFile(world.target("disk")))).toBe("ENOENT");
    }
  });

  it("replaces nothing", async () => {
    await writeFile(world.target("disk"), "mine");
    expect(await faultOf(copyLocally(files, await request("disk")))).toBe("already-exists");
    expect(await readFile(world.target("disk"), "utf8")).toBe("mine");
  });
});

describe("a target without space", () => {
  let mounted: string;

  beforeEach(async () => {
    mounted = join(world.directory, "small");
    await mkdir(mounted);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=20m", "tmpfs", mounted]);
    await writeFile(world.source("disk"), randomBytes(16 * MIB));
  });

  afterEach(() => {
    execFileSync("umount", ["--lazy", mounted]);
  });

  async function expectFull(tapIncoming: FrameTap): Promise<void> {
    const { listener, port } = await world.listener({ tapIncoming });
    const incoming = await world.incoming("disk", { targetPath: join(mounted, "disk") });
    const expectation = world.expect(listener, [incoming]);
    const detail = { have: expect.stringMatching(/\d+ bytes/), need: expect.stringMatching(/\d+ bytes/) };
    const sent = world.send(port, ["disk"]);
    await expect(sent).rejects.toMatchObject({ code: "out-of-space", detail: { ...detail, host: "h2" } });
    await expect(expectation.done).rejects.toMatchObject({ code: "out-of-space", detail });
  }

  it("says so before anything is sent", async () => {
    await writeFile(join(mounted, "other"), randomBytes(10 * MIB));
    await expectFull(type => expect(type).not.toBe("data"));
  });

  it("says so when it fills up during the copy", async () => {
    let isFull = false;
    await expectFull(type => {
      if (type !== "data" || isFull) return;
      execFileSync("fallocate", ["-l", String(10 * MIB), join(mounted, "other")]);
      isFull = true;
    });
  });
});
