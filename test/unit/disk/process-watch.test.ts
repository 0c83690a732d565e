import { mkdir, open, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findOpeners, findQemuProcesses } from "../../../agent/disk/process-watch.js";
import { temporaryDirectory } from "./temporary-directory.js";

const UUID = "3f2b1c4e-5a6d-4e7f-8091-a2b3c4d5e6f7";

async function procTree() {
  const directory = await temporaryDirectory();
  const root = join(directory, "proc");
  await mkdir(root);
  await writeFile(join(root, "uptime"), "1");
  return {
    root,
    disk: join(directory, "disk"),
    run: async (pid: number, words: readonly string[], opened: readonly string[] = []) => {
      await mkdir(join(root, `${pid}`, "fd"), { recursive: true });
      await writeFile(join(root, `${pid}`, "cmdline"), words.map(word => `${word}\0`).join(""));
      for (const [fd, path] of opened.entries()) await symlink(path, join(root, `${pid}`, "fd", `${fd}`));
    },
  };
}

describe("processes of a server", () => {
  it("are found by the uuid that QEMU was started with, in either case", async () => {
    const proc = await procTree();
    await proc.run(10, ["/usr/bin/qemu-system-x86_64", "-name", "x", "-uuid", UUID.toUpperCase()]);
    await proc.run(11, ["/usr/bin/qemu-system-x86_64", "-uuid", UUID.replace("3", "4")]);
    await proc.run(12, ["virsh", "dumpxml", UUID]);
    await proc.run(13, []);
    expect(await findQemuProcesses(proc.root, UUID)).toEqual({
      found: [{ pid: 10, program: "/usr/bin/qemu-system-x86_64", what: UUID }],
      unknown: [],
    });
  });

  it("are found by the file that they have open, under any name", async () => {
    const proc = await procTree();
    await writeFile(proc.disk, "");
    await symlink(proc.disk, `${proc.disk}-alias`);
    await proc.run(20, ["qemu-nbd", "x"], ["/dev/null", `${proc.disk}-alias`]);
    await proc.run(21, ["cat"], ["/dev/null", join(proc.root, "gone")]);
    expect(await findOpeners(proc.root, [proc.disk, `${proc.disk}-nothing`])).toEqual({
      found: [{ pid: 20, program: "qemu-nbd", what: proc.disk }],
      unknown: [],
    });
  });

  it("that end meanwhile are none; that cannot be read are unknown, not absent", async () => {
    const proc = await procTree();
    await mkdir(join(proc.root, "30"));
    await proc.run(31, ["x"]);
    await mkdir(join(proc.root, "32", "cmdline"), { recursive: true });
    await writeFile(join(proc.root, "32", "fd"), "");
    const qemus = await findQemuProcesses(proc.root, UUID);
    const openers = await findOpeners(proc.root, [proc.disk]);
    expect(qemus).toMatchObject({ found: [], unknown: [{ pid: 32 }] });
    expect(openers).toMatchObject({ found: [], unknown: [{ pid: 32 }] });
  });

  it("include this one, in the real /proc, while it has a file open", async () => {
    const { disk } = await procTree();
    const file = await open(disk, "w");
    const during = await findOpeners("/proc", [disk]);
    await file.close();
    const after = await findOpeners("/proc", [disk]);
    expect(during.found.map(({ pid }) => pid)).toContain(process.pid);
    expect(after.found).toEqual([]);
  });
});
