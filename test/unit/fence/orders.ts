/**
 * What the fencing tests order, and what they demand of every instant: the crash runner ends the process at each call
 * over an edge, starts it again as an agent does, and looks at the safety rules in between.
 */

import { expect } from "vitest";
import { type FenceOrder, fence } from "../../../agent/fence/fence.js";
import { denialOf, isDenied } from "../../../agent/fence/fence-record.js";
import { excludes, rebuildDenials } from "../../../agent/fence/guest-file.js";
import type { FenceStatement } from "../../../agent/fence/receipt-facts.js";
import { Crash, domainXml, SERVER, SOURCE, TARGET, type World } from "./world.js";

export const orderOf = (world: World, incarnation = SOURCE): FenceOrder => ({
  server: SERVER,
  migration: "m1",
  incarnation,
  epoch: 2,
  peerHost: "h2",
  files: world.files,
});

export const mirrorOf = (patch: Partial<FenceStatement> = {}): FenceStatement => ({
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

export async function fenceAndRelease(world: World, order = orderOf(world)): Promise<FenceStatement> {
  const { statement, hold } = await fence(world.edges, order);
  await hold[Symbol.asyncDispose]();
  return statement;
}

export const verdictOf = (world: World) => world.edges.guestFiles.read(SERVER);

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
export async function crashEverywhere(
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
