/** Illegal sagas do not compile. `npm run types` is the test; at run time there is only the legal one to look at. */

import { expect, it } from "vitest";
import { saga } from "../../controller/saga/plan.js";
import { nothingToUndo, type Onward, type Reversible } from "../../controller/saga/step.js";

interface World {
  readonly call: (what: string) => Promise<void>;
}
interface Request {
  readonly server: string;
}

const claim: Reversible<World, Request, { claim: number }> = {
  name: "claim",
  limitMs: 1,
  run: async () => ({ claim: 1 }),
  undo: async ({ claim: made }) => {
    const isMaybeAbsent: number | undefined = made;
    void isMaybeAbsent;
  },
};
const copy: Reversible<World, { claim: number }, { copied: true }> = {
  name: "copy",
  limitMs: 1,
  run: async () => ({ copied: true }),
  undo: nothingToUndo,
};
const start: Reversible<World, { copied: true }, object> = {
  name: "start",
  limitMs: 1,
  run: async () => ({}),
  undo: nothingToUndo,
};
const retire: Onward<World, { copied: true }, object> = { name: "retire", limitMs: 1, run: async () => ({}) };

const draft = () => saga<World, Request>("move").reversible(claim).reversible(copy);

it("a legal saga compiles, in the order in which it is written", () => {
  const plan = draft().crossing(start).verdict().onward(retire).seal();
  expect([...plan.reversible, ...plan.onward].map(step => step.name)).toEqual([
    "claim",
    "copy",
    "start",
    "retire",
  ]);
  expect(plan.crossing).toBe("start");
});

/** Never called: it is there for the compiler. */
const illegal = (): void => {
  // @ts-expect-error copy reads `claim`, which no earlier step gives.
  saga<World, Request>("bad").reversible(copy);
  // @ts-expect-error a step without undo cannot stand before the verdict.
  draft().reversible(retire);
  // @ts-expect-error after the crossing there is only the verdict.
  draft().crossing(start).reversible(claim);
  // @ts-expect-error no verdict without a crossing.
  draft().verdict();
  // @ts-expect-error nothing onward before the verdict.
  draft().onward(retire);
  // @ts-expect-error a saga is not sealed before its verdict.
  draft().crossing(start).seal();
  // @ts-expect-error after the verdict nothing may be undone.
  draft().crossing(start).verdict().reversible(claim);
  // @ts-expect-error `copied` may be absent in an undo: the step may have failed.
  const undo: Reversible<World, Request, { copied: true }>["undo"] = async ({ copied }: { copied: true }) =>
    void copied;
  void undo;
};
void illegal;
