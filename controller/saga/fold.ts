/**
 * Where a saga stands: a pure fold over its journal.
 *
 *   forward ─▶ waiting ─confirm─▶ onward ─▶ ended
 *      │          │                            ▲
 *      └─fault────┴─revert─▶ unwinding ────────┘
 */

import assert from "node:assert";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import type { Entry, Line } from "./journal-line.js";
import type { Facts, Plan } from "./plan.js";

export type SagaPhase = "forward" | "waiting" | "onward" | "unwinding" | "ended";
export type StepState = "pending" | "running" | "done" | "failed" | "undone" | "tidied";

export interface StepStanding {
  readonly name: string;
  readonly state: StepState;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly note: string;
}

export interface SagaState {
  readonly phase: SagaPhase;
  /** The request and what the done steps gave. */
  readonly known: Facts;
  /** All steps of the plan, in order. */
  readonly steps: readonly StepStanding[];
  /** The crossing was begun: only a person turns back from here (SAFETY R3). */
  readonly crossed: boolean;
  readonly cause: FaultInfo | undefined;
  /** The unwinding is a person's. */
  readonly byPerson: boolean;
  readonly stuck: { readonly step: string; readonly fault: FaultInfo; readonly parked: boolean } | undefined;
}

type AnyPlan = Plan<never>;

export function fold(plan: AnyPlan, request: Facts, entries: readonly Entry[]): SagaState {
  return entries.reduce<SagaState>((state, entry) => apply(plan, state, entry), initialState(plan, request));
}

function initialState(plan: AnyPlan, request: Facts): SagaState {
  const names = [...plan.reversible, ...plan.onward].map(step => step.name);
  return {
    phase: "forward",
    known: request,
    steps: names.map(name => ({ name, state: "pending", startedAtMs: 0, endedAtMs: 0, note: "" })),
    crossed: false,
    cause: undefined,
    byPerson: false,
    stuck: undefined,
  };
}

/** The state after one more line; a line that cannot follow is a bug. */
export function apply(plan: AnyPlan, state: SagaState, { line, atMs }: Entry): SagaState {
  assert(state.phase !== "ended", `a saga that has ended was given "${line.kind}"`);
  switch (line.kind) {
    case "begun": {
      const crossed = state.crossed || line.step === plan.crossing;
      return { ...withStep(state, line.step, { state: "running", startedAtMs: atMs }), crossed };
    }
    case "done": {
      const next = withStep(state, line.step, { state: "done", endedAtMs: atMs });
      return { ...next, known: { ...state.known, ...line.gives }, stuck: undefined };
    }
    case "undone":
    case "tidied":
      assert(state.phase === "unwinding", `"${line.kind}" outside an unwinding`);
      return { ...withStep(state, line.step, { state: line.kind, endedAtMs: atMs }), stuck: undefined };
    case "unwinding":
      return afterFailure(state, line, atMs);
    case "waiting":
      return { ...state, phase: "waiting" };
    case "verdict":
      return afterVerdict(state, line);
    case "stuck":
      return { ...state, stuck: { step: line.step, fault: line.fault, parked: line.parked } };
    case "resumed":
      return { ...state, stuck: undefined };
    case "told":
      return afterWord(state, line);
    case "ended":
      return { ...state, phase: "ended", stuck: undefined };
  }
}

function afterFailure(state: SagaState, line: Line & { kind: "unwinding" }, atMs: number): SagaState {
  assert(state.phase === "forward" && !state.crossed, "only a person's revert unwinds after the crossing");
  const failed = state.steps.some(step => step.name === line.step && step.state === "running");
  const next = failed
    ? withStep(state, line.step, { state: "failed", endedAtMs: atMs, note: line.cause.message })
    : state;
  return { ...next, phase: "unwinding", cause: line.cause, stuck: undefined };
}

function afterVerdict(state: SagaState, { verdict }: Line & { kind: "verdict" }): SagaState {
  assert(awaitsVerdict(state, verdict), `a ${verdict} in phase ${state.phase}`);
  const phase = verdict === "confirm" ? "onward" : "unwinding";
  return { ...state, phase, byPerson: verdict === "revert", stuck: undefined };
}

/** At the crossing a saga stays stuck: only a verdict leads on from there. */
function afterWord(state: SagaState, { gives }: Line & { kind: "told" }): SagaState {
  const isHeld = state.phase === "forward" && state.crossed;
  return { ...state, known: { ...state.known, ...gives }, stuck: isHeld ? state.stuck : undefined };
}

/** A revert is also the way out for a saga that is stuck at its crossing, and for an unwinding that a person has to take over. */
export function awaitsVerdict(
  { phase, crossed, stuck, byPerson }: SagaState,
  verdict: "confirm" | "revert",
): boolean {
  if (phase === "waiting") return true;
  if (verdict === "confirm" || stuck === undefined) return false;
  const isForPerson = phase === "unwinding" && !byPerson && stuck.fault.code === "stuck";
  return (phase === "forward" && crossed) || isForPerson;
}

function withStep(state: SagaState, name: string, changes: Partial<StepStanding>): SagaState {
  assert(
    state.steps.some(step => step.name === name),
    `no step ${name} in the plan`,
  );
  return {
    ...state,
    steps: state.steps.map(step => (step.name === name ? { ...step, ...changes } : step)),
  };
}
