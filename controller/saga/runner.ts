/**
 * Drives sagas: one loop each, from the journal's last line to rest. The loop remembers nothing that the journal does
 * not: a restarted process carries on by running the same loop.
 *
 * A loop ends when its saga rests (verdict awaited, waiting for a person, ended), when the saga has another owner, or
 * when the runner closes; `poke` starts it again. A bug ends it too and is handed to `onBug`.
 */

import assert from "node:assert";
import { asFault, Fault } from "../../proto/fault.js";
import { toFaultInfo } from "../../proto/fault-info.js";
import type { Clock } from "../clock.js";
import { cancelSaga, listLiveSagas } from "../store/sagas.js";
import type { Queries } from "../store/schema.js";
import type { Transactions } from "../store/store.js";
import { afterFault } from "./after-fault.js";
import { attempt } from "./attempt.js";
import { awaitsVerdict, type SagaState } from "./fold.js";
import type { Line, Verdict } from "./journal-line.js";
import type { SagaKind } from "./kind.js";
import { type NextAction, nextAction } from "./next-action.js";
import type { Facts } from "./plan.js";
import { Fenced, type LoadedSaga, SagaJournal } from "./saga-journal.js";
import type { StepCall, StepPhase, Write } from "./step.js";

interface Dependencies<World> {
  readonly store: Transactions;
  readonly clock: Clock;
  readonly random: () => number;
  readonly owner: string;
  readonly kind: SagaKind<World>;
  readonly onBug: (error: unknown) => void;
}

/** One loop at work. */
interface Loop {
  readonly ended: Promise<void>;
  /** Ends the attempt under way, if it may be ended. */
  cancel(): void;
  /** Ends the pause before the next attempt. */
  hurry(): void;
  /** Look again before resting. */
  pokedAgain: boolean;
}

export class SagaRunner<World> {
  readonly #deps: Dependencies<World>;
  readonly #journal: SagaJournal<World>;
  readonly #loops = new Map<string, Loop>();
  readonly #closing = new AbortController();

  constructor(deps: Dependencies<World>) {
    this.#deps = deps;
    this.#journal = new SagaJournal(deps.store, deps.clock, deps.owner, deps.kind);
  }

  /** Takes over and resumes every saga of this kind that has not ended. */
  async resumeAll(): Promise<void> {
    await this.#journal.adoptAll();
    const { store, kind } = this.#deps;
    for (const id of await listLiveSagas(store.queries, kind.plan.name)) this.poke(id);
  }

  /** Within the caller's transaction; poke it once that is committed. */
  create(queries: Queries, id: string, request: Facts): Promise<void> {
    return this.#journal.create(queries, id, request);
  }

  load(id: string): Promise<LoadedSaga> {
    return this.#journal.load(id);
  }

  poke(id: string): void {
    const running = this.#loops.get(id);
    if (running !== undefined) {
      running.pokedAgain = true;
      running.hurry();
      return;
    }
    if (!this.#closing.signal.aborted) this.#start(id);
  }

  /** Confirm or revert; `guard` decides within the transaction and refuses by throwing. */
  async decide(
    id: string,
    verdict: Verdict,
    by: string,
    guard: (write: Write) => Promise<void>,
  ): Promise<void> {
    const saga = await this.#journal.load(id);
    if (!awaitsVerdict(saga.state, verdict)) {
      throw new Fault(
        "conflict",
        `${this.#name} ${id} does not await a ${verdict}: it is ${saga.state.phase}`,
      );
    }
    await this.#append(saga, { kind: "verdict", verdict, by }, guard);
    this.poke(id);
  }

  /** Notes the wish and ends what is under way; the loop unwinds. */
  async cancel(id: string): Promise<void> {
    const { state } = await this.#journal.load(id);
    if (state.phase !== "forward" || state.crossed) {
      throw new Fault("conflict", `${this.#name} ${id} cannot be cancelled any more: it is ${state.phase}`, {
        fix: "wait until it is finished, then revert it",
      });
    }
    await cancelSaga(this.#deps.store.queries, id);
    this.#loops.get(id)?.cancel();
    this.poke(id);
  }

  /** A person has looked: a parked saga tries again. */
  async resume(id: string, by: string): Promise<void> {
    const saga = await this.#journal.load(id);
    if (saga.state.stuck !== undefined) await this.#append(saga, { kind: "resumed", by });
    this.poke(id);
  }

  /** Leaves every saga where it is. */
  async close(): Promise<void> {
    this.#closing.abort(new Fault("cancelled", "the controller is stopping"));
    await Promise.all([...this.#loops.values()].map(loop => loop.ended));
  }

  /** A writer who was overtaken by the loop reads again. */
  async #append(saga: LoadedSaga, line: Line, also?: (write: Write) => Promise<void>): Promise<void> {
    try {
      await this.#journal.append(saga, line, also);
    } catch (error) {
      if (!(error instanceof Fenced)) throw error;
      throw new Fault(
        "conflict",
        `${this.#name} ${saga.row.id} has just moved on; look again`,
        {},
        { cause: error },
      );
    }
  }

  #start(id: string): void {
    const cancelling = new AbortController();
    let hurrying = new AbortController();
    const loop: Loop = {
      ended: Promise.resolve().then(() => this.#drive(id, loop, cancelling.signal, () => hurrying.signal)),
      cancel: () => cancelling.abort(new Fault("cancelled", "cancelled by request")),
      hurry: () => {
        hurrying.abort();
        hurrying = new AbortController();
      },
      pokedAgain: false,
    };
    this.#loops.set(id, loop);
  }

  async #drive(id: string, loop: Loop, cancelled: AbortSignal, hurried: () => AbortSignal): Promise<void> {
    try {
      for (;;) {
        loop.pokedAgain = false;
        const saga = await this.#journal.load(id);
        const next = nextAction(this.#deps.kind.plan, saga.state, saga.row.cancel === 1);
        if (this.#closing.signal.aborted || (next.kind === "rest" && !loop.pokedAgain)) break;
        await this.#carryOut(saga, next, cancelled, hurried);
      }
    } catch (error) {
      const isExpected = error instanceof Fenced || this.#closing.signal.aborted;
      if (!isExpected) this.#deps.onBug(error);
    } finally {
      this.#loops.delete(id);
    }
  }

  async #carryOut(
    saga: LoadedSaga,
    next: NextAction,
    cancelled: AbortSignal,
    hurried: () => AbortSignal,
  ): Promise<void> {
    switch (next.kind) {
      case "begin":
        return this.#journal.append(saga, { kind: "begun", step: next.step });
      case "await-verdict":
        return this.#journal.append(saga, { kind: "waiting" });
      case "end":
        return this.#journal.append(saga, { kind: "ended" });
      case "unwind": {
        const cause = toFaultInfo(new Fault("cancelled", "cancelled by request"));
        return this.#journal.append(saga, { kind: "unwinding", step: next.step, cause });
      }
      case "run":
      case "undo":
      case "tidy":
        return this.#repeat(saga, next.step, next.kind, cancelled, hurried);
      case "rest":
        return;
    }
  }

  /** Attempts until the step is journalled as done, or as what became of it instead. */
  async #repeat(
    saga: LoadedSaga,
    step: string,
    phase: StepPhase,
    cancelled: AbortSignal,
    hurried: () => AbortSignal,
  ): Promise<void> {
    const { clock, random } = this.#deps;
    const startedMs = clock.monotonicMs();
    const canUnwind = phase === "run" && saga.state.phase === "forward" && !saga.state.crossed;
    let current = saga;
    for (let count = 1; ; count += 1) {
      const fault = await this.#attempt(current, step, phase, canUnwind ? cancelled : undefined);
      if (fault === undefined) return;
      this.#closing.signal.throwIfAborted();
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
    }
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
    const signals = [this.#closing.signal, ...(cancelled === undefined ? [] : [cancelled])];
    try {
      const gives = await attempt({ clock, signals, limitMs: Math.min(limitMs, leftMs), step }, signal =>
        this.#call(saga, step, phase, signal),
      );
      await this.#journal.append(saga, lineOf(phase, step, gives));
      return undefined;
    } catch (error) {
      if (error instanceof Fenced) throw error;
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
    const signal = AbortSignal.any([this.#closing.signal, ...wakers]);
    await this.#deps.clock.sleep(delayMs, signal).catch(() => undefined);
    this.#closing.signal.throwIfAborted();
  }

  #isOverdue(state: SagaState): boolean {
    const untilMs = this.#deps.kind.deadlineAtMs(state.known);
    return untilMs !== undefined && this.#deps.clock.nowMs() >= untilMs;
  }

  get #name(): string {
    return this.#deps.kind.plan.name;
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
