/** Restoring a source, and the look before it: who may order it, what comes back, that a crash changes nothing. */

import { readFile, rm, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { unfence } from "../../../agent/fence/unfence.js";
import { whyNotUnfence } from "../../../agent/fence/why-not-unfence.js";
import type { DomainSummary } from "../../../agent/os/hypervisor.js";
import { crashEverywhere, fenceAndRelease, mirrorOf, orderOf, verdictOf } from "./orders.js";
import { Crash, domainXml, SERVER, SOURCE, TARGET, World } from "./world.js";

const fenced = async (): Promise<World> => {
  const world = await World.make();
  await fenceAndRelease(world);
  return world;
};

describe("restoring a source", () => {
  it("gives back files, definition, allowance and autostart", async () => {
    await using world = await fenced();
    await unfence(world.edges, orderOf(world), { mirror: mirrorOf() });
    expect(world.domain).toEqual({ xml: domainXml(SOURCE), state: "shut-off", autostart: true });
    expect(await readFile(world.at("images/vda.qcow2"), "utf8")).toBe("images/vda.qcow2");
    expect(await verdictOf(world)).toEqual({ kind: "allow", incarnation: SOURCE });
    expect(world.record()).toMatchObject({ state: "active", mirror: { kind: "mirror" } });
  });

  it("revokes its own receipt before the first file moves", async () => {
    await using world = await fenced();
    world.crashAt = world.calls.length + 3.5;
    await expect(unfence(world.edges, orderOf(world), { mirror: mirrorOf() })).rejects.toThrow(Crash);
    expect(world.record()).not.toHaveProperty("statement");
  });

  it("converges after a crash before or after any call", async () => {
    await crashEverywhere(
      fenced,
      world => unfence(world.edges, orderOf(world), { mirror: mirrorOf() }),
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
      if (world.record()) await unfence(world.edges, orderOf(world), { mirror: mirrorOf() });
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
    await expect(unfence(world.edges, orderOf(world), { mirror: mirrorOf(patch) })).rejects.toThrow(
      /receipt/,
    );
    expect(world.record()?.state).toBe("fenced");
    expect(world.has("images/vda.qcow2")).toBe(false);
  });

  it("does not lift a denial that is not its own", async () => {
    await using world = await fenced();
    await world.edges.guestFiles.deny(SERVER, "quarantined");
    await expect(unfence(world.edges, orderOf(world), { mirror: mirrorOf() })).rejects.toThrow(/quarantined/);
  });

  it("keeps the denial when the definition is not what was saved", async () => {
    await using world = await fenced();
    world.domain = { xml: domainXml(SOURCE, "renamed"), state: "shut-off", autostart: false };
    await expect(unfence(world.edges, orderOf(world), { mirror: mirrorOf() })).rejects.toThrow(
      /not what was saved/,
    );
    expect(await verdictOf(world)).toMatchObject({ kind: "deny" });
  });

  it("does not put a disk over another one", async () => {
    await using world = await fenced();
    await writeFile(world.at("images/vda.qcow2"), "foreign");
    await expect(unfence(world.edges, orderOf(world), { mirror: mirrorOf() })).rejects.toThrow(
      /another file is there/,
    );
  });
});

describe("the look before a revert", () => {
  const named = (world: World) => ({
    ...world.edges,
    hypervisor: { ...world.edges.hypervisor, findDomainByName: async () => world.namesake },
    goesWithTarget: async (path: string) => path === world.at("images/vda.qcow2"),
  });

  it("finds nothing in the way of an untouched fence", async () => {
    await using world = await World.make();
    await fenceAndRelease(world);
    expect(await whyNotUnfence(named(world), orderOf(world))).toEqual([]);
  });

  it("leaves the other incarnation on the same host to its withdrawal", async () => {
    await using world = await World.make();
    await fenceAndRelease(world);
    world.domain = { xml: domainXml(TARGET), state: "running", autostart: false };
    await writeFile(world.at("images/vda.qcow2"), "the target's");
    expect(await whyNotUnfence(named(world), orderOf(world))).toEqual([]);
  });

  it.each([
    [
      "a fenced disk is gone",
      (world: World) => rm(world.at("images/vda.qcow2.fenced-m1")),
      /vda\/0 is neither/,
    ],
    [
      "it was written to",
      (world: World) => writeFile(world.at("nvram.fd.fenced-m1"), "x"),
      /nvram .* was changed/,
    ],
    ["its place is taken", (world: World) => writeFile(world.at("nvram.fd"), "x"), /nvram.fd is taken/],
    [
      "the uuid is taken",
      async (world: World) => {
        world.domain = { xml: domainXml(SOURCE), state: "shut-off", autostart: false };
      },
      /web-3 is defined/,
    ],
    [
      "the name is taken",
      async (world: World) => {
        world.namesake = { uuid: "another", name: "web-3" } as DomainSummary;
      },
      /taken on this host by another/,
    ],
  ])("says when %s", async (_name, change, problem) => {
    await using world = await World.make();
    await fenceAndRelease(world);
    await change(world);
    const problems = await whyNotUnfence(named(world), orderOf(world));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(problem);
  });
});
