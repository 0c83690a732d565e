/** Leases and QEMU's image lock on real files: who is noticed, and what the holder notices. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { verifyDead } from "../../agent/fence/verify-dead.js";
import { nativeFiles } from "../../agent/os/native-files.js";

let root: string;
let disk: string;

beforeEach(async () => {
  // Not /tmp, which may be a tmpfs; leases are a matter of the file system.
  root = await mkdtemp("/var/tmp/ferry-dead-");
  disk = join(root, "vda.raw");
  await writeFile(disk, Buffer.alloc(4096));
  await mkdir(join(root, "swtpm"));
  await writeFile(join(root, "swtpm", "tpm2-00.permall"), "state");
});
afterEach(() => rm(root, { recursive: true }));

const verify = () =>
  verifyDead(
    {
      hypervisor: { findDomain: async () => undefined },
      files: nativeFiles(),
      blockDevices: { holders: async () => [] },
      findProcesses: async () => [],
    },
    {
      server: "x",
      files: [
        { id: "vda/0", path: disk },
        { id: "tpm", path: join(root, "swtpm") },
      ],
      otherIncarnation: false,
    },
  );

/** A process that has the file open until its stdin is closed. */
async function opener(path: string, mode: string) {
  const program = `f = open(${JSON.stringify(path)}, "${mode}"); print("open", flush=True); input()`;
  const child = spawn("python3", ["-c", program], { stdio: ["pipe", "pipe", "ignore"] });
  return { child, opened: once(child.stdout, "data"), gone: once(child, "close") };
}

describe("a file of a dead guest", () => {
  it("is held by lease and lock, and free again afterwards", async () => {
    const hold = await verify();
    await hold.requireUnbroken();
    expect(hold.descriptor("vda/0")).toBeGreaterThan(2);
    expect(hold.descriptor("tpm", "tpm2-00.permall")).toBeGreaterThan(2);
    await hold[Symbol.asyncDispose]();
    const again = await verify();
    await again[Symbol.asyncDispose]();
  });

  it.each(["rb", "r+b"])("is refused while another process has it open (%s)", async mode => {
    const { child, opened, gone } = await opener(disk, mode);
    await opened;
    await expect(verify()).rejects.toThrow(/vda.raw is open in another process/);
    child.stdin.end("\n");
    await gone;
    const hold = await verify();
    await hold[Symbol.asyncDispose]();
  });

  it("tells its holder when somebody asks for it, keeps him waiting, and does not end the holder", async () => {
    const hold = await verify();
    const { child, opened, gone } = await opener(disk, "rb");
    await expect
      .poll(() => hold.requireUnbroken().then(() => "held", String), { timeout: 10_000 })
      .toMatch(/opened by another process/);
    await hold[Symbol.asyncDispose]();
    await opened;
    child.stdin.end("\n");
    await gone;
  });
});
