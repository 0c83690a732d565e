import { expect, it } from "vitest";
import { fold } from "../../../controller/saga/fold.js";
import { encodeJson, type Line } from "../../../controller/saga/journal-line.js";
import { saga } from "../../../controller/saga/plan.js";
import { RememberedSagas, type Written } from "../../../controller/saga/remembered-sagas.js";
import { idleStep } from "./idle-step.js";

const PLAN = saga<object, object>("test")
  .reversible(idleStep("one"))
  .crossing(idleStep("two"))
  .verdict()
  .seal();

const written = (line: Line, atMs: number): Written => ({ line: encodeJson(line), atMs });
const BEGUN = written({ kind: "begun", step: "one" }, 1);
const DONE = written({ kind: "done", step: "one", gives: { receipt: Buffer.from("word") } }, 2);
const NEXT = written({ kind: "begun", step: "two" }, 3);
const INPUT = encodeJson({ server: "web" });

/** A store with these lines, which says from which one on it was asked. */
function storeOf(lines: readonly Written[]) {
  const asked: number[] = [];
  const readFrom = async (seq: number) => {
    asked.push(seq);
    return lines.slice(seq - 1);
  };
  return { asked, readFrom };
}

const folded = (lines: readonly Written[]) =>
  fold(
    PLAN,
    { server: "web" },
    lines.map(({ line, atMs }) => ({ line: JSON.parse(line) as Line, atMs })),
  );

it("of a saga that was read before only what is new is read", async () => {
  const sagas = new RememberedSagas(PLAN);
  const first = storeOf([BEGUN, DONE]);
  const before = await sagas.stateOf("m", INPUT, first.readFrom);
  expect(before.known).toMatchObject({ server: "web", receipt: Buffer.from("word") });
  expect(first.asked).toEqual([1]);

  const later = storeOf([BEGUN, DONE, NEXT]);
  const after = await sagas.stateOf("m", INPUT, later.readFrom);
  expect(later.asked).toEqual([2]);
  expect(after.steps).toEqual(folded([BEGUN, DONE, NEXT]).steps);
  expect(await sagas.stateOf("m", INPUT, later.readFrom)).toEqual(after);
});

it("a journal that was replaced is what the store holds now, whether shorter, as long, or longer", async () => {
  const other = written({ kind: "begun", step: "one" }, 7);
  const failed = written({ kind: "done", step: "one", gives: {} }, 8);
  for (const replaced of [[other], [other, failed], [BEGUN, failed], [other, failed, NEXT]]) {
    const sagas = new RememberedSagas(PLAN);
    await sagas.stateOf("m", INPUT, storeOf([BEGUN, DONE]).readFrom);
    const state = await sagas.stateOf("m", INPUT, storeOf(replaced).readFrom);
    expect(state).toEqual(folded(replaced));
  }
});

it("nobody can change what another one will read", async () => {
  const done = written({ kind: "done", step: "one", gives: { disks: [{ id: "vda" }] } }, 2);
  const { known } = await new RememberedSagas(PLAN).stateOf("m", INPUT, storeOf([BEGUN, done]).readFrom);
  expect(Object.isFrozen((known as { disks: object[] }).disks[0])).toBe(true);
});
