import { describe, expect, it } from "vitest";
import { fold } from "../../../controller/saga/fold.js";
import { decodeJson, encodeJson, type Line } from "../../../controller/saga/journal-line.js";
import { nextAction } from "../../../controller/saga/next-action.js";
import { saga } from "../../../controller/saga/plan.js";
import type { FaultInfo } from "../../../proto/gen/ferry/v1/model.js";
import { idleStep } from "./idle-step.js";

const plan = saga<object, object>("test")
  .reversible(idleStep("a"))
  .reversible(idleStep("b"))
  .crossing(idleStep("c"))
  .verdict()
  .onward({ name: "d", limitMs: 1, run: async () => ({}) })
  .seal();

const cause: FaultInfo = { code: "refused", message: "no", have: "", need: "", fix: "", host: "" };
const begun = (name: string): Line => ({ kind: "begun", step: name });
const done = (name: string, gives = {}): Line => ({ kind: "done", step: name, gives });
const at = (...lines: Line[]) =>
  fold(
    plan,
    { asked: true },
    lines.map((line, index) => ({ line, atMs: index })),
  );
const next = (...lines: Line[]) => nextAction(plan, at(...lines), false);

describe("forward", () => {
  it("begins, then runs, each step in turn", () => {
    expect(next()).toEqual({ kind: "begin", step: "a" });
    expect(next(begun("a"))).toEqual({ kind: "run", step: "a" });
    expect(next(begun("a"), done("a"))).toEqual({ kind: "begin", step: "b" });
  });

  it("gathers what the steps give", () => {
    expect(at(begun("a"), done("a", { found: 1 })).known).toEqual({ asked: true, found: 1 });
  });

  it("has crossed as soon as the crossing has begun", () => {
    expect(at(begun("a"), done("a"), begun("b"), done("b"), begun("c")).crossed).toBe(true);
  });

  it("awaits the verdict when all is done", () => {
    const lines = ["a", "b", "c"].flatMap(name => [begun(name), done(name)]);
    expect(next(...lines)).toEqual({ kind: "await-verdict" });
    expect(next(...lines, { kind: "waiting" })).toEqual({ kind: "rest" });
    const confirmed: Line = { kind: "verdict", verdict: "confirm", by: "ada" };
    expect(next(...lines, { kind: "waiting" }, confirmed)).toEqual({ kind: "begin", step: "d" });
  });
});

describe("unwinding", () => {
  const failed: Line[] = [begun("a"), done("a"), begun("b"), { kind: "unwinding", step: "b", cause }];

  it("takes back the failed step too, in reverse, and tidies only when all is taken back", () => {
    expect(next(...failed)).toEqual({ kind: "undo", step: "b" });
    const undoneB: Line = { kind: "undone", step: "b" };
    expect(next(...failed, undoneB)).toEqual({ kind: "undo", step: "a" });
    const undoneA: Line = { kind: "undone", step: "a" };
    expect(next(...failed, undoneB, undoneA)).toEqual({ kind: "tidy", step: "b" });
    const tidied: Line[] = [
      { kind: "tidied", step: "b" },
      { kind: "tidied", step: "a" },
    ];
    expect(next(...failed, undoneB, undoneA, ...tidied)).toEqual({ kind: "end" });
  });

  it("after the crossing is a bug unless a person decided it", () => {
    const crossed = [begun("a"), done("a"), begun("b"), done("b"), begun("c")];
    expect(() => at(...crossed, { kind: "unwinding", step: "c", cause })).toThrow(/only a person/);
    const stuck: Line = { kind: "stuck", step: "c", fault: cause, parked: true };
    const revert: Line = { kind: "verdict", verdict: "revert", by: "ada" };
    expect(next(...crossed, stuck)).toEqual({ kind: "rest" });
    expect(next(...crossed, stuck, revert)).toEqual({ kind: "undo", step: "c" });
  });
});

it("bytes survive the journal", () => {
  const gives = { receipt: { statement: Uint8Array.from([1, 255]), text: "kept" }, list: [Buffer.from("x")] };
  const read = decodeJson<typeof gives>(encodeJson(gives));
  expect([...read.receipt.statement]).toEqual([1, 255]);
  expect(read.receipt.text).toBe("kept");
  expect(read.list[0]?.toString()).toBe("x");
});
