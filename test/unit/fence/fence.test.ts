/** Fencing a source and withdrawing a target: what they refuse, what they leave, in which order, after any crash. */

import { readFile, rm, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { fence, withdraw } from "../../../agent/fence/fence.js";
import { retire } from "../../../agent/fence/retire.js";
import { crashEverywhere, fenceAndRelease, orderOf, verdictOf } from "./orders.js";
import { domainXml, SERVER, SOURCE, TARGET, World } from "./world.js";

describe("fencing a source", () => {
  it("leaves nothing that could start, and says where everything is", async () => {
    await using world = await World.make();
    const statement = await fenceAndRelease(world);
    expect(world.domain).toBeUndefined();
    expect(world.has("images/vda.qcow2")).toBe(false);
    expect(await readFile(world.at("images/vda.qcow2.fenced-m1"), "utf8")).toBe("images/vda.qcow2");
    expect(world.has("swtpm.fenced-m1/tpm2-00.permall")).toBe(true);
    expect(world.has("images/vdc.raw"), "a shared disk stays where it is").toBe(true);
    expect(await verdictOf(world)).toMatchObject({ kind: "deny" });
    expect(statement).toMatchObject({
      kind: "fence",
      epoch: 2,
      host: "h1",
      peerHost: "h2",
      bootId: "boot-1",
    });
    expect(statement.files.map(file => file.path)).toContain(world.at("nvram.fd.fenced-m1"));
    expect(world.record()).toMatchObject({ state: "fenced", saved: { autostart: true } });
  });

  it("journals before it denies, denies before it looks, looks before it moves, moves before it undefines", async () => {
    await using world = await World.make();
    await fenceAndRelease(world);
    const order = [
      "journal.put",
      "guestFiles.deny",
      "files.takeWriteLease",
      "hypervisor.setAutostart",
      "files.renameNoReplace",
      "hypervisor.undefine",
    ].map(call => world.calls.indexOf(call));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(world.calls.at(-1)).toBe("journal.put");
  });

  it("converges after a crash before or after any call", async () => {
    const calls = await crashEverywhere(World.make, fenceAndRelease, async world => {
      expect(world.domain).toBeUndefined();
      expect(world.record()).toMatchObject({ state: "fenced", saved: { autostart: true } });
      expect(world.record()?.files.every(file => world.has(file.asidePath.slice(world.root.length)))).toBe(
        true,
      );
      expect(await verdictOf(world)).toMatchObject({ kind: "deny" });
    });
    expect(calls).toBeGreaterThan(40);
  });

  it("answers again at a higher epoch without touching anything", async () => {
    await using world = await World.make();
    await fenceAndRelease(world);
    const statement = await fenceAndRelease(world, { ...orderOf(world), epoch: 5 });
    expect(statement).toMatchObject({ epoch: 5, facts: { refusesBelowEpoch: 5 } });
  });

  it.each([
    [
      "a guest that runs",
      (world: World) => Object.assign(world.domain ?? {}, { state: "running" }),
      /running/,
    ],
    ["snapshots", (world: World) => world.snapshots.push("<domainsnapshot/>"), /snapshots/],
    [
      "another incarnation",
      (world: World) => Object.assign(world.domain ?? {}, { xml: domainXml("x") }),
      /defined/,
    ],
  ])("refuses %s before it touches anything", async (_name, change, reason) => {
    await using world = await World.make();
    change(world);
    await expect(fence(world.edges, orderOf(world))).rejects.toThrow(reason);
    expect(world.record()).toBeUndefined();
    expect(await verdictOf(world)).toBeUndefined();
  });

  it("refuses a QEMU that libvirt has lost, and has moved nothing", async () => {
    await using world = await World.make();
    world.processes = [4711];
    await expect(fence(world.edges, orderOf(world))).rejects.toThrow(/libvirt does not know.*4711/);
    expect(world.has("images/vda.qcow2")).toBe(true);
  });

  it("refuses a disk that somebody has open, and has moved nothing", async () => {
    await using world = await World.make();
    world.open.add(world.at("nvram.fd"));
    await expect(fence(world.edges, orderOf(world))).rejects.toThrow(/nvram.fd is open in another process/);
    expect(world.has("images/vda.qcow2")).toBe(true);
    expect(world.domain).toBeDefined();
  });

  it("refuses a disk that was replaced since it was looked at", async () => {
    await using world = await World.make();
    const identity = { device: "1", inode: "1", birthNs: "1" };
    const files = world.files.map(file => (file.id === "vda/0" ? { ...file, identity } : file));
    await expect(fence(world.edges, { ...orderOf(world), files })).rejects.toThrow(/changed behind Ferry/);
  });

  it("does not overwrite a file that has the name aside", async () => {
    await using world = await World.make();
    await writeFile(world.at("images/vda.qcow2.fenced-m1"), "foreign");
    await expect(fence(world.edges, orderOf(world))).rejects.toThrow(/another file is there/);
    expect(await readFile(world.at("images/vda.qcow2.fenced-m1"), "utf8")).toBe("foreign");
  });

  it("leaves a domain of the other incarnation alone (same-host resize)", async () => {
    await using world = await World.make();
    await fenceAndRelease(world);
    world.domain = { xml: domainXml(TARGET), state: "running", autostart: false };
    world.processes = [1];
    await world.edges.guestFiles.allow(SERVER, TARGET);
    await fenceAndRelease(world);
    expect(world.domain).toMatchObject({ state: "running" });
    expect(await verdictOf(world)).toEqual({ kind: "allow", incarnation: TARGET });
  });
});

describe("the hold on a fenced source", () => {
  it("is broken when somebody opens a disk, and gives descriptors until it is disposed", async () => {
    await using world = await World.make();
    const { hold } = await fence(world.edges, orderOf(world));
    expect(hold.descriptor("nvram")).toBeGreaterThan(2);
    expect(hold.descriptor("tpm", "tpm2-00.permall")).toBeGreaterThan(2);
    await hold.requireUnbroken();
    world.open.add(world.at("nvram.fd.fenced-m1"));
    await expect(hold.requireUnbroken()).rejects.toThrow(/opened by another process/);
    await hold[Symbol.asyncDispose]();
    expect(hold.descriptor("nvram")).toBeUndefined();
  });
});

describe("withdrawing a target", () => {
  it("states that what never came to be cannot run", async () => {
    await using world = await World.make();
    world.domain = undefined;
    for (const { path } of world.files) await rm(path, { recursive: true });
    const { statement, hold } = await withdraw(world.edges, orderOf(world, TARGET));
    await hold[Symbol.asyncDispose]();
    expect(statement).toMatchObject({ kind: "mirror", incarnation: TARGET, files: [] });
    expect(await verdictOf(world)).toMatchObject({ kind: "deny" });
  });

  it("ends a guest that runs, by force when it does not go, and keeps its disks as dropped", async () => {
    await using world = await World.make();
    world.domain = { xml: domainXml(TARGET), state: "running", autostart: false };
    world.processes = [7];
    const { hold } = await withdraw(world.edges, orderOf(world, TARGET));
    await hold[Symbol.asyncDispose]();
    expect(world.domain).toBeUndefined();
    expect(world.has("images/vda.qcow2.dropped-m1")).toBe(true);
  });

  it("states it again of a target that was left, but whose migration is not closed yet", async () => {
    await using world = await World.make();
    const target = orderOf(world, TARGET);
    world.domain = { xml: domainXml(TARGET), state: "shut-off", autostart: false };
    await (await withdraw(world.edges, target)).hold[Symbol.asyncDispose]();
    await retire(world.edges, target);
    const { statement, record, hold } = await withdraw(world.edges, { ...target, epoch: 9 });
    await hold[Symbol.asyncDispose]();
    expect(statement).toMatchObject({ kind: "mirror", incarnation: TARGET, epoch: 9, files: [] });
    expect(record.state).toBe("fenced");
    await retire(world.edges, target);
    expect(await verdictOf(world)).toMatchObject({ kind: "deny" });
  });

  it("states nothing of a source that was retired", async () => {
    await using world = await World.make();
    await fenceAndRelease(world);
    await retire(world.edges, orderOf(world, SOURCE));
    await expect(fence(world.edges, orderOf(world, SOURCE))).rejects.toThrow("has it retired already");
  });

  it("does not touch a source on the same host", async () => {
    await using world = await World.make();
    await world.edges.guestFiles.allow(SERVER, SOURCE);
    const order = { ...orderOf(world, TARGET), files: [] };
    const { hold } = await withdraw(world.edges, order);
    await hold[Symbol.asyncDispose]();
    expect(world.domain).toMatchObject({ xml: domainXml(SOURCE), autostart: true });
    expect(await verdictOf(world)).toEqual({ kind: "allow", incarnation: SOURCE });
  });

  it("does not take a running guest without a mark for another incarnation", async () => {
    await using world = await World.make();
    world.domain = { xml: "<domain><name>web-3</name></domain>", state: "running", autostart: false };
    const order = { ...orderOf(world, TARGET), files: [] };
    await expect(withdraw(world.edges, order)).rejects.toThrow(/is running, not shut off/);
  });
});
