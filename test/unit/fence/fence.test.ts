/** Fencing and its reverse: what they refuse, what they leave, and that a crash at any call changes nothing. */

import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { type FenceOrder, fence, withdraw } from "../../../agent/fence/fence.js";
import { denialOf, isDenied } from "../../../agent/fence/fence-record.js";
import { excludes, rebuildDenials } from "../../../agent/fence/guest-file.js";
import type { FenceStatement } from "../../../agent/fence/receipt-facts.js";
import { retire } from "../../../agent/fence/retire.js";
import { unfence } from "../../../agent/fence/unfence.js";
import { Crash, domainXml, SERVER, SOURCE, TARGET, World } from "./world.js";

const orderOf = (world: World, incarnation = SOURCE): FenceOrder => ({
  server: SERVER,
  migration: "m1",
  incarnation,
  epoch: 2,
  peerHost: "h2",
  files: world.files,
});

const mirrorOf = (patch: Partial<FenceStatement> = {}): FenceStatement => ({
  kind: "mirror",
  server: SERVER,
  migration: "m1",
  incarnation: TARGET,
  epoch: 2,
  host: "h2",
  peerHost: "h1",
  bootId: "boot-2",
  at: 1,
  facts: { domain: "undefined", running: false, filesOpen: false, refusesBelowEpoch: 2 },
  files: [],
  ...patch,
});

async function fenceAndRelease(world: World, order = orderOf(world)): Promise<FenceStatement> {
  const { statement, hold } = await fence(world.edges, order);
  await hold[Symbol.asyncDispose]();
  return statement;
}

const verdictOf = (world: World) => world.edges.guestFiles.read(SERVER);

/** What must hold at every instant, whoever is dead. */
async function expectSafe(world: World): Promise<void> {
  const verdict = await verdictOf(world);
  const record = world.record();
  if (record && record.state !== "fencing" && isDenied(record)) {
    expect(excludes(verdict, SOURCE), "the hook denies what the journal denies").toBe(true);
  }
  const isTouched = !world.domain || world.has("images/vda.qcow2.fenced-m1");
  if (isTouched) {
    expect(excludes(verdict, SOURCE), "nothing is moved while it could start").toBe(true);
    if (record?.state === "retired") return;
    expect(record?.saved?.inactiveXml, "there is a way back").toBe(domainXml(SOURCE));
  }
}

/** Run, crash at call 0, 0.5, 1, …; restart as an agent does; run again; until a run needs no crash. */
async function crashEverywhere(
  make: () => Promise<World>,
  run: (world: World) => Promise<unknown>,
  check: (world: World) => Promise<void>,
): Promise<number> {
  for (let at = 0; ; at += 0.5) {
    await using world = await make();
    world.calls.length = 0;
    world.crashAt = at;
    const crashed = await run(world).then(
      () => false,
      (error: unknown) => {
        if (error instanceof Crash) return true;
        throw error;
      },
    );
    world.crashAt = Number.POSITIVE_INFINITY;
    await expectSafe(world);
    if (crashed) {
      await rebuildDenials(
        world.edges.guestFiles,
        [...world.records.values()].filter(isDenied).map(denialOf),
      );
      await expectSafe(world);
      await run(world);
    }
    await check(world);
    if (!crashed) return at;
  }
}

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

describe("restoring a source", () => {
  const fenced = async (): Promise<World> => {
    const world = await World.make();
    await fenceAndRelease(world);
    return world;
  };

  it("gives back files, definition, allowance and autostart", async () => {
    await using world = await fenced();
    await unfence(world.edges, orderOf(world), mirrorOf());
    expect(world.domain).toEqual({ xml: domainXml(SOURCE), state: "shut-off", autostart: true });
    expect(await readFile(world.at("images/vda.qcow2"), "utf8")).toBe("images/vda.qcow2");
    expect(await verdictOf(world)).toEqual({ kind: "allow", incarnation: SOURCE });
    expect(world.record()).toMatchObject({ state: "active", mirror: { kind: "mirror" } });
  });

  it("revokes its own receipt before the first file moves", async () => {
    await using world = await fenced();
    world.crashAt = world.calls.length + 3.5;
    await expect(unfence(world.edges, orderOf(world), mirrorOf())).rejects.toThrow(Crash);
    expect(world.record()).not.toHaveProperty("statement");
  });

  it("converges after a crash before or after any call", async () => {
    await crashEverywhere(
      fenced,
      world => unfence(world.edges, orderOf(world), mirrorOf()),
      async world => {
        expect(world.domain).toEqual({ xml: domainXml(SOURCE), state: "shut-off", autostart: true });
        expect(world.record()?.state).toBe("active");
        expect(await verdictOf(world)).toEqual({ kind: "allow", incarnation: SOURCE });
      },
    );
  });

  it("undoes a fence that was cut short at any call", async () => {
    for (let at = 0; ; at += 0.5) {
      await using world = await World.make();
      world.crashAt = at;
      const crashed = await fenceAndRelease(world).then(
        () => false,
        () => true,
      );
      world.crashAt = Number.POSITIVE_INFINITY;
      if (world.record()) await unfence(world.edges, orderOf(world), mirrorOf());
      expect(world.domain).toEqual({ xml: domainXml(SOURCE), state: "shut-off", autostart: true });
      expect(world.has("images/vda.qcow2") && world.has("swtpm") && world.has("nvram.fd")).toBe(true);
      if (!crashed) return;
    }
  });

  it.each([
    ["of another migration", { migration: "m2" }],
    ["of another server", { server: "x" }],
    ["of an older epoch", { epoch: 1 }],
    ["that refuses too little", { facts: { ...mirrorOf().facts, refusesBelowEpoch: 1 } }],
    ["that is a fence receipt", { kind: "fence" as const }],
    ["about the source itself", { incarnation: SOURCE }],
  ])("refuses a mirror %s", async (_name, patch) => {
    await using world = await fenced();
    await expect(unfence(world.edges, orderOf(world), mirrorOf(patch))).rejects.toThrow(/receipt/);
    expect(world.record()?.state).toBe("fenced");
    expect(world.has("images/vda.qcow2")).toBe(false);
  });

  it("does not lift a denial that is not its own", async () => {
    await using world = await fenced();
    await world.edges.guestFiles.deny(SERVER, "quarantined");
    await expect(unfence(world.edges, orderOf(world), mirrorOf())).rejects.toThrow(/quarantined/);
  });

  it("keeps the denial when the definition is not what was saved", async () => {
    await using world = await fenced();
    world.domain = { xml: domainXml(SOURCE, "renamed"), state: "shut-off", autostart: false };
    await expect(unfence(world.edges, orderOf(world), mirrorOf())).rejects.toThrow(/not what was saved/);
    expect(await verdictOf(world)).toMatchObject({ kind: "deny" });
  });

  it("does not put a disk over another one", async () => {
    await using world = await fenced();
    await writeFile(world.at("images/vda.qcow2"), "foreign");
    await expect(unfence(world.edges, orderOf(world), mirrorOf())).rejects.toThrow(/another file is there/);
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

  it("does not touch a source on the same host", async () => {
    await using world = await World.make();
    await world.edges.guestFiles.allow(SERVER, SOURCE);
    const order = { ...orderOf(world, TARGET), files: [] };
    const { hold } = await withdraw(world.edges, order);
    await hold[Symbol.asyncDispose]();
    expect(world.domain).toMatchObject({ xml: domainXml(SOURCE), autostart: true });
    expect(await verdictOf(world)).toEqual({ kind: "allow", incarnation: SOURCE });
  });
});

describe("retiring", () => {
  it("removes the fenced files and the saved state, and goes on denying", async () => {
    await using world = await World.make();
    await fenceAndRelease(world);
    expect(await retire(world.edges, { server: SERVER, migration: "m1", incarnation: SOURCE })).toEqual({
      removed: ["vda/0", "nvram", "tpm"],
      missing: [],
    });
    expect(world.has("swtpm.fenced-m1")).toBe(false);
    expect(world.has("images/vdc.raw"), "a shared disk is nobody's to remove").toBe(true);
    expect(world.record()).not.toHaveProperty("saved");
    expect(await verdictOf(world)).toMatchObject({ kind: "deny" });
  });

  it("removes nothing when one name holds another file", async () => {
    await using world = await World.make();
    await fenceAndRelease(world);
    await rename(world.at("nvram.fd.fenced-m1"), world.at("elsewhere"));
    await writeFile(world.at("nvram.fd.fenced-m1"), "foreign");
    await expect(
      retire(world.edges, { server: SERVER, migration: "m1", incarnation: SOURCE }),
    ).rejects.toThrow(/nothing was removed/);
    expect(world.has("images/vda.qcow2.fenced-m1")).toBe(true);
  });

  it("refuses what is not fenced", async () => {
    await using world = await World.make();
    await expect(
      retire(world.edges, { server: SERVER, migration: "m1", incarnation: SOURCE }),
    ).rejects.toThrow(/unknown here/);
  });

  it("converges after a crash before or after any call", async () => {
    const fenced = async (): Promise<World> => {
      const world = await World.make();
      await fenceAndRelease(world);
      return world;
    };
    await crashEverywhere(
      fenced,
      world => retire(world.edges, { server: SERVER, migration: "m1", incarnation: SOURCE }),
      async world => expect(world.record()).toMatchObject({ state: "retired", files: [] }),
    );
  });
});
