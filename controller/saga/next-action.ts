/**
 * What a saga does next, from where it stands. Unwinding goes through all undos in reverse and only then through
 * the tidies, so that what was made elsewhere is not removed before everything here is as it was.
 */

import type { SagaState, StepState } from "./fold.js";
import type { Plan } from "./plan.js";

export type NextAction =
  | { readonly kind: "begin"; readonly step: string }
  | { readonly kind: "run" | "undo" | "tidy"; readonly step: string }
  | { readonly kind: "unwind"; readonly step: string }
  /** Journal that the verdict is awaited. */
  | { readonly kind: "await-verdict" }
  | { readonly kind: "end" }
  /** Nothing until a verdict, a person, or ever. */
  | { readonly kind: "rest" };

export function nextAction(plan: Plan<never>, state: SagaState, isCancelled: boolean): NextAction {
  if (state.stuck?.parked) return { kind: "rest" };
  switch (state.phase) {
    case "forward":
      return forward(plan, state, isCancelled);
    case "onward":
      return nextOf(plan.onward, state) ?? { kind: "end" };
    case "unwinding":
      return unwinding(plan, state);
    case "waiting":
    case "ended":
      return { kind: "rest" };
  }
}

function forward(plan: Plan<never>, state: SagaState, isCancelled: boolean): NextAction {
  const next = nextOf(plan.reversible, state);
  if (isCancelled && !state.crossed && next !== undefined) return { kind: "unwind", step: next.step };
  return next ?? { kind: "await-verdict" };
}

function nextOf(steps: Plan<never>["reversible" | "onward"], state: SagaState): StepAction | undefined {
  const next = steps.find(step => standingOf(state, step.name) !== "done");
  if (next === undefined) return undefined;
  return { kind: standingOf(state, next.name) === "running" ? "run" : "begin", step: next.name };
}

type StepAction = { readonly kind: "begin" | "run"; readonly step: string };

const TO_UNDO: readonly StepState[] = ["running", "done", "failed"];

function unwinding(plan: Plan<never>, state: SagaState): NextAction {
  const toUndo = plan.reversible.findLast(step => TO_UNDO.includes(standingOf(state, step.name)));
  if (toUndo !== undefined) return { kind: "undo", step: toUndo.name };
  const toTidy = plan.reversible.findLast(
    step => step.tidy !== undefined && standingOf(state, step.name) === "undone",
  );
  return toTidy === undefined ? { kind: "end" } : { kind: "tidy", step: toTidy.name };
}

const standingOf = (state: SagaState, name: string): StepState =>
  state.steps.find(step => step.name === name)?.state ?? "pending";
