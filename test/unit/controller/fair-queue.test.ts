/** Whose turn it is: limits hold, nobody waits for ever, and free hosts are not left idle. */

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  HEAD_START_MS,
  inOrder,
  judgeTurns,
  nextTurns,
  PATIENCE_MS,
  type QueueLimits,
  type Turn,
} from "../../../controller/migration/fair-queue.js";

const turn = (migration: string, hosts: string, changes: Partial<Turn> = {}): Turn => ({
  migration,
  sourceHost: hosts[0] ?? "",
  targetHost: hosts[1] ?? "",
  queuedAtMs: 0,
  priority: 0,
  taken: false,
  ...changes,
});
const ONE: QueueLimits = { total: 0, perHost: 1 };

describe("the queue", () => {
  it("gives as many turns as there is room for, in order", () => {
    const turns = [
      turn("m1", "ab"),
      turn("m2", "cd", { queuedAtMs: 1 }),
      turn("m3", "ef", { queuedAtMs: 2 }),
    ];
    expect(nextTurns(turns, { total: 2, perHost: 0 }, 2)).toEqual(["m1", "m2"]);
    expect(nextTurns(turns, { total: 0, perHost: 0 }, 2)).toEqual(["m1", "m2", "m3"]);
  });

  it("says of each that waits where there is no room", () => {
    const turns = [
      turn("m1", "ab", { taken: true }),
      turn("m2", "ac", { queuedAtMs: 1 }),
      turn("m3", "cb", { queuedAtMs: 2 }),
      turn("m4", "cd", { queuedAtMs: 3 }),
      turn("m5", "ef", { queuedAtMs: 4 }),
    ];
    const reasons = judgeTurns(turns, { total: 2, perHost: 1 }, 5).map(
      ({ turn: { migration }, waitsFor = "nothing" }) => `${migration} ${waitsFor}`,
    );
    expect(reasons).toEqual(["m2 source", "m3 target", "m4 nothing", "m5 total"]);
  });

  it("counts a host as source and as target, and a migration that stays there once", () => {
    expect(
      nextTurns([turn("m1", "ab", { taken: true }), turn("m2", "ca"), turn("m3", "dc")], ONE, 0),
    ).toEqual(["m3"]);
    expect(nextTurns([turn("m1", "aa")], ONE, 0)).toEqual(["m1"]);
  });

  it("lets others past whose hosts are full, but not for ever", () => {
    const turns = [
      turn("busy", "ab", { taken: true }),
      turn("waits", "bc"),
      turn("later", "cd", { queuedAtMs: 1 }),
    ];
    expect(nextTurns(turns, ONE, PATIENCE_MS)).toEqual(["later"]);
    expect(nextTurns(turns, ONE, PATIENCE_MS + 1)).toEqual([]);
    expect(nextTurns(turns.slice(1), ONE, PATIENCE_MS + 1)).toEqual(["waits"]);
  });

  it("takes a priority for a head start, which time makes good", () => {
    const early = turn("early", "ab");
    const late = (afterMs: number) => turn("late", "ab", { priority: 1, queuedAtMs: afterMs });
    expect(inOrder([early, late(HEAD_START_MS - 1)]).map(({ migration }) => migration)).toEqual([
      "late",
      "early",
    ]);
    expect(inOrder([early, late(HEAD_START_MS + 1)]).map(({ migration }) => migration)).toEqual([
      "early",
      "late",
    ]);
  });

  const moves = fc.array(
    fc.record({
      hosts: fc.tuple(fc.constantFrom(..."abcde"), fc.constantFrom(..."abcde")),
      arrivesMs: fc.integer({ min: 0, max: 3_600_000 }),
      priority: fc.integer({ min: -3, max: 3 }),
      lastsMs: fc.integer({ min: 1_000, max: 600_000 }),
    }),
    { minLength: 1, maxLength: 40 },
  );
  const limits = fc.record({
    total: fc.integer({ min: 0, max: 4 }),
    perHost: fc.integer({ min: 0, max: 3 }),
  });

  it("never goes beyond its limits, and everybody's turn comes", () => {
    fc.assert(
      fc.property(moves, limits, (asked, { total, perHost }) => {
        const waiting = asked.map(({ hosts, arrivesMs, priority }, index) =>
          turn(`m${index}`, hosts.join(""), { queuedAtMs: arrivesMs, priority }),
        );
        const running = new Map<string, { readonly turn: Turn; readonly untilMs: number }>();
        const begun = new Set<string>();
        for (let nowMs = 0; begun.size < asked.length; nowMs += 10_000) {
          expect(nowMs, "somebody starves").toBeLessThan(
            asked.length * 600_000 + 3_700_000 + 4 * HEAD_START_MS,
          );
          for (const [id, { untilMs }] of running) if (untilMs <= nowMs) running.delete(id);
          const here = waiting.filter(one => one.queuedAtMs <= nowMs && !begun.has(one.migration));
          const turns = [...[...running.values()].map(one => ({ ...one.turn, taken: true })), ...here];
          for (const id of nextTurns(turns, { total, perHost }, nowMs)) {
            const index = Number(id.slice(1));
            begun.add(id);
            const own = waiting[index] ?? turn(id, "aa");
            running.set(id, { turn: own, untilMs: nowMs + (asked[index]?.lastsMs ?? 0) });
          }
          const now = [...running.values()].map(one => one.turn);
          if (total > 0) expect(now.length).toBeLessThanOrEqual(total);
          for (const host of perHost > 0 ? "abcde" : "")
            expect(
              now.filter(({ sourceHost, targetHost }) => [sourceHost, targetHost].includes(host)).length,
            ).toBeLessThanOrEqual(perHost);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("leaves no migration waiting whose hosts have room, while nobody has lost patience", () => {
    fc.assert(
      fc.property(moves, fc.integer({ min: 1, max: 3 }), (asked, perHost) => {
        const turns = asked.map(({ hosts }, index) => turn(`m${index}`, hosts.join("")));
        const next = new Set(nextTurns(turns, { total: 0, perHost }, 0));
        const begun = turns.filter(({ migration }) => next.has(migration));
        const at = (host: string) =>
          begun.filter(({ sourceHost, targetHost }) => [sourceHost, targetHost].includes(host)).length;
        for (const { migration, sourceHost, targetHost } of turns)
          expect(next.has(migration) || at(sourceHost) >= perHost || at(targetHost) >= perHost).toBe(true);
      }),
    );
  });
});
