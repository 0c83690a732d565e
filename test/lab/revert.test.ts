/**
 * A revert gives a server back as it was, bit for bit, and leaves nothing on the target. On hosts with Debian's own
 * qemu.conf: guests run as libvirt-qemu and libvirt changes the owners of their files, which has to come back too.
 */

import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Lab } from "./lab.js";
import { bootOf, createServer, ferry, fleetUp, migrate, revert, serverOf } from "./support/fleet.js";
import { domainsOn, filesOn, fingerprints } from "./support/host-files.js";

const CONFIG_FILE = "/run/shared/ferry-lab.conf";

let lab: Lab;

beforeAll(async () => {
  lab = await fleetUp({ id: "revert", hosts: 2, env: { LAB_QEMU: "stock" } });
  await writeFile(lab.path("ctl", CONFIG_FILE), "lab.blobmb=4\n");
  const configDrive = ["--config-drive", `ferry-lab.conf=${CONFIG_FILE}`];
  await Promise.all([
    createServer(lab, "web", ...configDrive),
    createServer(lab, "idle", ...configDrive, "--firmware", "efi", "--vtpm", "--no-start"),
  ]);
});
afterAll(() => lab.down());

describe("a stopped server that is reverted", () => {
  const stateOnSource = async () => ({
    files: await fingerprints(
      lab,
      "h1",
      (await filesOn(lab, "h1")).filter(file => !file.includes("/web/")),
    ),
    xml: await lab.output("h1", ["virsh", "-q", "dumpxml", "--inactive", "--security-info", "idle"]),
    info: (await lab.output("h1", ["virsh", "-q", "dominfo", "idle"]))
      .split("\n")
      .filter(line => !line.startsWith("Id:")),
  });

  it("is bit for bit what it was: disks, firmware variables, TPM, definition, autostart and power state", async () => {
    await ferry(lab, "server", "start", "idle");
    await ferry(lab, "server", "stop", "idle", "--shutdown-timeout", "1");
    await lab.output("h1", ["virsh", "-q", "autostart", "idle"]);
    const before = await stateOnSource();
    expect(before.files.length).toBeGreaterThanOrEqual(7);

    const migration = await migrate(lab, "idle", "h2");
    expect(await domainsOn(lab, "h1")).not.toContain("idle");
    // What it may do on the target is to run and to write.
    await lab.output("h2", ["virsh", "-q", "start", "idle"]);
    await revert(lab, "idle");

    expect(await stateOnSource()).toEqual(before);
    expect(await serverOf(lab, "idle")).toMatchObject({
      host: "h1",
      status: "SHUTOFF",
      powerState: "SHUTDOWN",
    });
    expect(migration.targetHost).toBe("h2");
    expect(await domainsOn(lab, "h2")).toEqual([]);
    // Not even the base image, which this migration had brought.
    expect(await filesOn(lab, "h2")).toEqual([]);
  });
});

describe("a running server that is reverted", () => {
  it("runs on the source again, without what it wrote on the target", async () => {
    const first = await bootOf(lab, "h1", "web", 1);
    await migrate(lab, "web", "h2");
    const onTarget = await bootOf(lab, "h2", "web", 2);
    expect(onTarget).toMatch(/MARKER-OK [\s\S]*EPH-OK /);
    const user = "ps -o user:20= -p $(cat /run/libvirt/qemu/web.pid)";
    expect((await lab.output("h2", ["sh", "-c", user])).trim()).toBe("libvirt-qemu");

    await revert(lab, "web");

    // The same boot once more, of disks that never saw the other one.
    const again = await bootOf(lab, "h1", "web", 2);
    expect(again).toMatch(/MARKER-OK [\s\S]*EPH-OK /);
    expect(/ id=\S+/.exec(again)?.[0]).toBe(/ id=\S+/.exec(first)?.[0]);
    expect(await serverOf(lab, "web")).toMatchObject({ host: "h1", status: "ACTIVE", powerState: "RUNNING" });
    expect(await domainsOn(lab, "h2")).toEqual([]);
    expect(await filesOn(lab, "h2")).toEqual([]);
  });
});
