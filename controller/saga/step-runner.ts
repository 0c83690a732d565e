/**
 * Carries out one step in one direction: attempts, pauses and limits, until the journal has a line for what became of
 * it. Nothing of an attempt outlives it: when its signal aborts it is over and can commit nothing any more.
 */

import assert from "node:assert";
import { asFault, Fault } from "../../proto/fault.js";
import { toFaultInfo } from "../../proto/fault-info.js";
import { afterFault } from "./after-fault.js";
import { attempt } from "./attempt.js";
import type { SagaState } from "./fold.js";
import type { Line } from "./journal-line.js";
import type { Facts } from "./plan.js";
import type { RunnerDependencies } from "./runner-dependencies.js";
import { Fenced, Frozen, type LoadedSaga, type SagaJournal } from "./saga-journal.js";
import type { StepCall, StepPhase } from "./step.js";

export interface Order {
  readonly step: string;
  readonly phase: StepPhase;
  /** Ends an attempt that may be unwound. */
  readonly cancelled: AbortSignal;
  /** Ends the pause under way. */
  readonly hurried: () => AbortSignal;
}

export class StepRunner<World> {
  readonly #deps: RunnerDependencies<World>;
  readonly #journal: SagaJournal<World>;
  readonly #closing: AbortSignal;

  constructor(deps: RunnerDependencies<World>, journal: SagaJournal<World>, closing: AbortSignal) {
    this.#deps = deps;
    this.#journal = journal;
    this.#closing = closing;
  }

  /** Attempts until the step is journalled as done, or as what became of it instead. */
  async carryOut(saga: LoadedSaga, { step, phase, cancelled, hurried }: Order): Promise<void> {
    const { clock, random } = this.#deps;
    const startedMs = clock.monotonicMs();
    const canUnwind = phase === "run" && saga.state.phase === "forward" && !saga.state.crossed;
    let current = saga;
    for (let count = 1; ; count += 1) {
      const fault = await this.#attempt(current, step, phase, canUnwind ? cancelled : undefined);
      if (fault === undefined) return;
      this.#closing.throwIfAborted();
      const elapsedMs = clock.monotonicMs() - startedMs;
      const limitMs = this.#limitOf(step, phase);
      const isOver = canUnwind && (cancelled.aborted || this.#isOverdue(current.state));
      const decided = isOver
        ? ({ kind: "unwind" } as const)
        : afterFault({ fault, count, elapsedMs, limitMs, canUnwind, random: random() });
      if (decided.kind === "unwind") {
        return this.#journal.append(current, { kind: "unwinding", step, cause: toFaultInfo(fault) });
      }
      if (decided.kind === "park" || decided.isStuck) {
        current = await this.#markStuck(current, step, fault, decided.kind === "park");
      }
      if (decided.kind === "park") return;
      await this.#pause(decided.delayMs, [hurried(), ...(canUnwind ? [cancelled] : [])]);
      if (await this.#hasMovedOn(current)) return;
    }
  }

  /** Somebody has written a line meanwhile, a verdict for instance: what to do next is to be read anew. */
  async #hasMovedOn({ row }: LoadedSaga): Promise<boolean> {
    const now = await this.#journal.load(row.id);
    return now.row.length !== row.length;
  }

  /** The fault that kept the step from being done; nothing when it is done and journalled. */
  async #attempt(
    saga: LoadedSaga,
    step: string,
    phase: StepPhase,
    cancelled: AbortSignal | undefined,
  ): Promise<Fault | undefined> {
    const { clock, kind } = this.#deps;
    const limitMs = this.#limitOf(step, phase);
    const untilMs = cancelled === undefined ? undefined : kind.deadlineAtMs(saga.state.known);
    const leftMs = untilMs === undefined ? Number.POSITIVE_INFINITY : untilMs - clock.nowMs();
    const signals = [this.#closing, ...(cancelled === undefined ? [] : [cancelled])];
    try {
      const gives = await attempt({ clock, signals, limitMs: Math.min(limitMs, leftMs), step }, signal =>
        this.#call(saga, step, phase, signal),
      );
      await this.#journal.append(saga, lineOf(phase, step, gives));
      return undefined;
    } catch (error) {
      if (error instanceof Fenced || error instanceof Frozen) throw error;
      const fault = asFault(error);
      return leftMs <= limitMs && untilMs !== undefined && clock.nowMs() >= untilMs
        ? overdue(step, fault)
        : fault;
    }
  }

  async #call(saga: LoadedSaga, step: string, phase: StepPhase, signal: AbortSignal): Promise<Facts> {
    const { kind } = this.#deps;
    const planned = this.#stepOf(step);
    const call: StepCall = {
      sagaId: saga.row.id,
      step,
      phase,
      epoch: saga.row.epoch,
      term: saga.row.term,
      limitMs: this.#limitOf(step, phase),
      byPerson: saga.state.byPerson,
      signal,
      commit: body => {
        signal.throwIfAborted();
        return this.#journal.commit(saga, body);
      },
    };
    const world = kind.world(call, saga.state.known);
    if (phase === "run") return planned.run(saga.state.known, world);
    const reversible = kind.plan.reversible.find(candidate => candidate.name === step);
    assert(reversible !== undefined, `${step} cannot be undone`);
    await reversible[phase]?.(saga.state.known, world);
    return {};
  }

  async #markStuck(saga: LoadedSaga, step: string, fault: Fault, parked: boolean): Promise<LoadedSaga> {
    const known = saga.state.stuck;
    const isSame = known?.step === step && known.parked === parked && known.fault.message === fault.message;
    if (isSame) return saga;
    await this.#journal.append(saga, { kind: "stuck", step, fault: toFaultInfo(fault), parked });
    return this.#journal.load(saga.row.id);
  }

  async #pause(delayMs: number, wakers: AbortSignal[]): Promise<void> {
    const signal = AbortSignal.any([this.#closing, ...wakers]);
    await this.#deps.clock.sleep(delayMs, signal).catch(() => undefined);
    this.#closing.throwIfAborted();
  }

  #isOverdue(state: SagaState): boolean {
    const untilMs = this.#deps.kind.deadlineAtMs(state.known);
    return untilMs !== undefined && this.#deps.clock.nowMs() >= untilMs;
  }

  #limitOf(name: string, phase: StepPhase): number {
    const { limitMs } = this.#stepOf(name);
    if (phase === "run") return limitMs;
    const reversible = this.#deps.kind.plan.reversible.find(candidate => candidate.name === name);
    return reversible?.undoLimitMs ?? limitMs;
  }

  #stepOf(name: string) {
    const { reversible, onward } = this.#deps.kind.plan;
    const step = [...reversible, ...onward].find(candidate => candidate.name === name);
    assert(step !== undefined, `no step ${name}`);
    return step;
  }
}

function lineOf(phase: StepPhase, step: string, gives: Facts): Line {
  if (phase === "run") return { kind: "done", step, gives };
  return { kind: phase === "undo" ? "undone" : "tidied", step };
}

const overdue = (step: string, fault: Fault): Fault =>
  new Fault("timeout", `${step}: the guest was off for longer than its server allows`, fault.detail, {
    cause: fault,
  });
