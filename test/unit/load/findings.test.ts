/** What the load over real hosts is judged by: limits that were broken and an order that was not kept are found. */

import { expect, it } from "vitest";
import { mostAtOnce, type Span } from "../../load/lab/agent-logs.js";
import { type Queued, unfair } from "../../load/lab/findings.js";

const span = (migration: string, beganMs: number, endedMs: number): Span => ({
  migration,
  hosts: ["h1", "h2"],
  beganMs,
  endedMs,
});
const queued = (migration: string, askedMs: number, changes: Partial<Queued> = {}): Queued => ({
  migration,
  source: "h1",
  target: "h2",
  priority: 0,
  askedMs,
  ...changes,
});

it("counts what overlaps, and not what follows", () => {
  expect(mostAtOnce([span("a", 0, 10), span("b", 10, 20), span("c", 20, 30)])).toBe(1);
  expect(mostAtOnce([span("a", 0, 10), span("b", 5, 20), span("c", 9, 30)])).toBe(3);
  expect(mostAtOnce([])).toBe(0);
});

it("finds who was let past another one that came first and needs the same hosts, whichever way", () => {
  const spans = [span("late", 20_000, 21_000), span("early", 30_000, 31_000)];
  const late = queued("late", 1_000, { source: "h2", target: "h1" });
  expect(unfair([queued("early", 0), late], spans)).toEqual([
    "late was let past early, which needs the same hosts",
  ]);
  expect(unfair([queued("early", 0), { ...late, priority: 2 }], spans)).toEqual([]);
  expect(unfair([queued("early", 0), { ...late, target: "h3" }], spans)).toEqual([]);
  expect(unfair([queued("early", 0, { priority: 1 }), { ...late, priority: 1 }], spans)).toHaveLength(1);
});

it("does not blame anybody for what began before the other one can have been in the queue", () => {
  const spans = [span("late", 4_000, 5_000), span("early", 6_000, 7_000)];
  expect(unfair([queued("early", 0), queued("late", 1)], spans)).toEqual([]);
});
