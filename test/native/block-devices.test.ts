/**
 * What this kernel says of a block device, and who has one open: with loop devices of this machine. No other file beside
 * this one may take any: one of the tests lets go of a device and takes the same one again.
 */

import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { constants, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type BlockDevices, blockDevices } from "../../agent/disk/block-devices.js";
import { walkImageChain } from "../../agent/disk/image-rules.js";
import { LIVE_ROOTS } from "../../agent/probe/roots.js";
import { type HeldDevices, holdDevices } from "../../agent/verbs/hold-devices.js";
import { plainFiles } from "../unit/disk/plain-files.js";
import { allocatedBytes, areEqual, createWorld, faultOf, type World } from "./support/transfer-world.js";

const run = promisify(execFile);
const MIB = 1024 ** 2;

/** Containers without device rights have none. */
const canLoop = ((): boolean => {
  try {
    execFileSync("losetup", ["--find"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

let root: string;
let device: string;
let devices: BlockDevices;

/** The processes of this test alone: a container may forbid to look at others, which is no answer (and a test below). */
const procRoot = () => join(root, "proc");
const show = (pid: number | undefined) => symlinkSync(`/proc/${pid}`, join(procRoot(), `${pid}`));

async function attach(name: string, sizeBytes = 4 * MIB): Promise<string> {
  const image = join(root, name);
  writeFileSync(image, "");
  truncateSync(image, sizeBytes);
  return (await run("losetup", ["--find", "--show", image])).stdout.trim();
}

/** A process that has it open once it has said so. */
async function holder(program: string): Promise<ChildProcess> {
  const child = spawn("python3", ["-c", program, device], { stdio: ["pipe", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  show(child.pid);
  return child;
}

const OPEN = "import os,sys; os.open(sys.argv[1], os.O_RDWR); print('open', flush=True); sys.stdin.read()";
const CLAIM = OPEN.replace("os.O_RDWR", "os.O_RDONLY | os.O_EXCL");

describe.skipIf(!canLoop)("a block device of this machine", () => {
  beforeEach(async () => {
    root = mkdtempSync("/var/tmp/ferry-loop-");
    mkdirSync(procRoot());
    show(process.pid);
    const roots = { ...LIVE_ROOTS, proc: procRoot() };
    devices = blockDevices({ listed: ["/dev/loop*"], roots, bootId: "boot-1" });
    device = await attach("one");
  });
  afterEach(async () => {
    await run("losetup", ["--detach", device]);
    rmSync(root, { recursive: true });
  });

  it("has its size, no world-wide name, and a number that is its own for one life", async () => {
    const first = await devices.read(device);
    expect(first).toMatchObject({ sizeBytes: 4 * MIB, worldWideId: "", lacking: "it is a loop device" });
    expect(first.kernelId).toMatch(/^boot-1\/7:\d+\/\d+$/);
    expect(await devices.read(device)).toEqual(first);
    await run("losetup", ["--detach", device]);
    await run("losetup", [device, join(root, "one")]);
    expect((await devices.read(device)).kernelId).not.toBe(first.kernelId);
  });

  it("is nobody's when nobody has it open", async () => {
    expect(await devices.holders(device, 0)).toEqual([]);
    expect(await devices.whyClaimed(device)).toBeUndefined();
  });

  it("has been flushed when it is said to be nobody's", async () => {
    // This process's own: an agent is no holder, and what is open keeps the kernel from flushing by itself.
    await using own = await open(device, "r+");
    await own.write("written by this host");
    expect(await devices.holders(device, 0)).toEqual([]);
    expect((await readFile(join(root, "one"))).toString("latin1", 0, 20)).toBe("written by this host");
  });

  it("is held by whoever has it open under any name, until that ends", async () => {
    const child = await holder(OPEN);
    expect(await devices.holders(device, 0)).toEqual([
      expect.stringMatching(`^process ${child.pid} \\(.*python3`),
    ]);
    // A guest's device is not claimed: that it is open is seen by its processes alone.
    expect(await devices.whyClaimed(device)).toBeUndefined();
    const waiting = devices.holders(device, 60_000);
    child.stdin?.end();
    expect(await waiting).toEqual([]);
  });

  it("is held by the host where the kernel has given it away", async () => {
    await holder(CLAIM);
    expect(await devices.whyClaimed(device)).toMatch(/^the host itself/);
    expect(await devices.holders(device, 0)).toEqual([expect.stringMatching(/^the host itself/)]);
  });

  it("is not known to be free where a process cannot be looked at", async () => {
    mkdirSync(join(procRoot(), "1/fd"), { recursive: true });
    symlinkSync("0", join(procRoot(), "1/fd/0"));
    await expect(devices.holders(device, 0)).rejects.toThrow(
      /cannot tell who has \/dev\/loop\d+ open: 1: ELOOP/,
    );
  });

  it("is never opened as an image", async () => {
    const walk = walkImageChain(plainFiles, { directories: ["/dev"] }, { path: device, format: "raw" });
    await expect(walk).rejects.toThrow(`${device} is no regular file`);
  });

  it("is not touched by being asked about", async () => {
    const before = await readFile(join(root, "one"));
    await devices.read(device);
    await devices.holders(device, 0);
    expect((await readFile(join(root, "one"))).equals(before)).toBe(true);
  });
});

describe.skipIf(!canLoop)("a block device that becomes a file of another host", () => {
  const SIZE_BYTES = 16 * MIB;
  const LEAF_BYTES = 256 * 1024;
  let world: World;
  let held: HeldDevices | undefined;

  /** As after the fence: counted once nobody had it open. */
  async function hold(): Promise<HeldDevices> {
    const { hostId, kernelId } = await devices.read(device);
    const asFenced = { kernelId, writes: `${await devices.writes(device)}` };
    return holdDevices([{ id: "vdb/0", path: device, identity: hostId, isCopied: true, asFenced }], devices);
  }

  /** By another process, as a QEMU that somebody starts by hand would. */
  const write = (offset: number, bytes: Buffer) => {
    const input = join(root, "input");
    writeFileSync(input, bytes);
    const words = [`if=${input}`, `of=${device}`, "bs=4096", `seek=${offset / 4096}`, "conv=notrunc"];
    execFileSync("dd", [...words, "status=none"]);
  };

  beforeEach(async () => {
    root = mkdtempSync("/var/tmp/ferry-loop-");
    mkdirSync(procRoot());
    show(process.pid);
    const roots = { ...LIVE_ROOTS, proc: procRoot() };
    devices = blockDevices({ listed: ["/dev/loop*"], roots, bootId: "00000000-0000-0000-0000-000000000001" });
    device = await attach("disk", SIZE_BYTES);
    write(0, randomBytes(5 * MIB));
    world = await createWorld("/var/tmp");
    held = await hold();
  });
  afterEach(async () => {
    await held?.[Symbol.asyncDispose]();
    await world.dispose();
    await run("losetup", ["--detach", device]);
    rmSync(root, { recursive: true });
  });

  const arriving = () => ({
    id: "vdb/0",
    targetPath: world.target("disk"),
    sizeBytes: SIZE_BYTES,
    mode: 0o600,
  });

  async function copy({ isLastPass = true, onLeaf = (_leaf: number) => {} } = {}) {
    const { listener, port } = await world.listener();
    const expectation = world.expect(listener, [arriving()], { isLastPass });
    const outgoing = held?.outgoing("vdb/0");
    if (outgoing === undefined) throw new Error("it is not held");
    const leaves: number[] = [];
    const tapOutgoing = (type: string, { offset = 0 }) => {
      if (type !== "data") return;
      leaves.push(offset / LEAF_BYTES);
      onLeaf(offset / LEAF_BYTES);
    };
    const received = expectation.done.catch((error: unknown) => error);
    const sent = world.send(port, [], { files: [outgoing] }, { tapOutgoing });
    return { fault: await faultOf(sent), received: await received, leaves: leaves.toSorted((a, b) => a - b) };
  }

  it("is copied whole, with its zeros as holes", async () => {
    expect(await copy()).toMatchObject({ fault: "resolved", leaves: [...Array(20).keys()] });
    expect(await areEqual(device, world.target("disk"))).toBe(true);
    expect(await allocatedBytes(world.target("disk"))).toBeLessThan(6 * MIB);
  });

  it("is gone on with after an interruption, unless it was written to: then what differs is sent", async () => {
    await copy({ isLastPass: false });
    expect(await copy({ isLastPass: false })).toMatchObject({ fault: "resolved", leaves: [] });
    write(2 * MIB, randomBytes(4096));
    await expect(held?.requireUnwritten()).rejects.toThrow(/was written to since the server was fenced/);
    await held?.[Symbol.asyncDispose]();
    held = await hold();
    expect(await copy()).toMatchObject({ fault: "resolved", leaves: [8] });
    expect(await areEqual(device, world.target("disk"))).toBe(true);
  });

  it("that is written to while it is copied becomes no file", async () => {
    const result = await copy({ onLeaf: leaf => leaf === 10 && write(12 * MIB, randomBytes(4096)) });
    expect(result.fault).toBe("conflict");
    await expect(stat(world.target("disk"))).rejects.toThrow(/ENOENT/);
  });

  it("is claimed meanwhile, and not written by the copy", async () => {
    await expect(open(device, constants.O_RDONLY | constants.O_EXCL)).rejects.toThrow(/EBUSY/);
    const before = await devices.writes(device);
    await copy();
    expect(await devices.writes(device)).toBe(before);
    await held?.[Symbol.asyncDispose]();
    await (await open(device, constants.O_RDONLY | constants.O_EXCL)).close();
  });

  it("is known again by its host, as long as it is the same one", async () => {
    const { hostId } = await devices.read(device);
    expect(hostId).toBe(`loop ${join(root, "disk")}`);
  });
});

describe("what is no listed block device", () => {
  const none = blockDevices({ listed: ["/dev/loop*"], roots: LIVE_ROOTS, bootId: "boot-1" });
  it.each([
    ["/dev/null", /is not listed/],
    ["/dev/loop-control", /is no block device/],
    ["/dev/loop-that-is-not-there", /there is no block device/],
  ])("is refused: %s", async (path, reason) => {
    await expect(none.read(path)).rejects.toThrow(reason);
  });
});
