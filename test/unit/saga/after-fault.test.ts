import { describe, expect, it } from "vitest";
import { type Attempts, afterFault } from "../../../controller/saga/after-fault.js";
import { Fault, type FaultCode } from "../../../proto/fault.js";

const decide = (code: FaultCode, changes: Partial<Attempts> = {}) =>
  afterFault({
    fault: new Fault(code, "it failed"),
    count: 1,
    elapsedMs: 0,
    limitMs: 60_000,
    canUnwind: true,
    random: 0,
    ...changes,
  });

describe("a step that can be taken back", () => {
  it("unwinds at once at a plain no", () => expect(decide("refused")).toEqual({ kind: "unwind" }));

  it("repeats what is unknown until its limit", () => {
    expect(decide("timeout", { count: 50, elapsedMs: 59_999 })).toMatchObject({ kind: "again" });
    expect(decide("unreachable", { count: 50, elapsedMs: 60_000 })).toEqual({ kind: "unwind" });
  });

  it("gives a definite failure three chances", () => {
    expect(decide("corrupt", { count: 2 })).toMatchObject({ kind: "again" });
    expect(decide("corrupt", { count: 3 })).toEqual({ kind: "unwind" });
  });
});

describe("a step that cannot be taken back", () => {
  it("waits for a person at a plain no", () =>
    expect(decide("refused", { canUnwind: false })).toEqual({ kind: "park" }));

  it("repeats for ever and is stuck, visibly, after its limit", () => {
    expect(decide("unreachable", { canUnwind: false, elapsedMs: 1 })).toMatchObject({ isStuck: false });
    expect(decide("unreachable", { canUnwind: false, elapsedMs: 60_000 })).toMatchObject({
      kind: "again",
      isStuck: true,
    });
  });
});

it("pauses longer after each failure, up to a ceiling, and never all at the same time", () => {
  const pauses = [1, 2, 3, 30].map(count => decide("timeout", { count }));
  expect(pauses).toMatchObject([{ delayMs: 100 }, { delayMs: 200 }, { delayMs: 400 }, { delayMs: 2_500 }]);
  expect(decide("timeout", { random: 0.999 })).toMatchObject({ delayMs: 200 });
});
