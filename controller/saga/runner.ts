/**
 * Drives sagas: one loop each, from the journal's last line to rest. The loop remembers nothing that the journal does
 * not: a restarted process carries on by running the same loop.
 *
 * A loop ends when its saga rests (verdict awaited, waiting for a person, ended), when the saga has another owner, or
 * when the runner closes; `poke` starts it again. A bug ends it too and is handed to `onBug`. Several processes may
 * share the store: each drives the sagas that it owns, and adopts those whose owner has no lease any more.
 */

import { Fault } from "../../proto/fault.js";
import { toFaultInfo } from "../../proto/fault-info.js";
import { readFreeze } from "../store/freeze.js";
import { cancelSaga, listCancelled } from "../store/sagas.js";
import type { Queries } from "../store/schema.js";
import { awaitsVerdict } from "./fold.js";
import type { Line, Verdict } from "./journal-line.js";
import { type NextAction, nextAction } from "./next-action.js";
import type { Facts } from "./plan.js";
import type { RunnerDependencies } from "./runner-dependencies.js";
import { Fenced, Frozen, type LoadedSaga, SagaJournal } from "./saga-journal.js";
import type { Write } from "./step.js";
import { StepRunner } from "./step-runner.js";

const STORE_RETRY_MS = 1_000;

/** One loop at work. */
interface Loop {
  readonly ended: Promise<void>;
  /** Ends the attempt under way, if it may be ended; for whom. */
  cancel(by: string): void;
  /** Ends the pause before the next attempt. */
  hurry(): void;
  /** Look again before resting. */
  pokedAgain: boolean;
}

export class SagaRunner<World> {
  readonly #deps: RunnerDependencies<World>;
  readonly #journal: SagaJournal<World>;
  readonly #loops = new Map<string, Loop>();
  readonly #halted = new Set<string>();
  readonly #closing = new AbortController();
  readonly #steps: StepRunner<World>;

  constructor(deps: RunnerDependencies<World>) {
    this.#deps = deps;
    this.#journal = new SagaJournal(deps.store, deps.clock, deps.owner, deps.kind);
    this.#steps = new StepRunner(deps, this.#journal, this.#closing.signal);
  }

  /** Takes over and resumes every saga of this kind that has not ended and has no owner at work; answers how many. */
  async adoptOrphans(): Promise<number> {
    for (let count = 0; ; count += 1) {
      const id = this.#closing.signal.aborted ? undefined : await this.#journal.adopt();
      if (id === undefined) return count;
      this.poke(id);
    }
  }

  /** Those that stopped because everything stood still; they stop again if it still does. */
  thaw(): void {
    const halted = [...this.#halted];
    this.#halted.clear();
    for (const id of halted) this.poke(id);
  }

  /** Another process has changed something about a saga, or about any of them: it wants it cancelled, or has thawed all. */
  async notice(id: string | undefined): Promise<void> {
    const { store, owner } = this.#deps;
    if (id === undefined) this.thaw();
    const cancelled = await listCancelled(store.queries, owner);
    for (const one of cancelled.filter(candidate => id === undefined || candidate.id === id)) {
      this.#loops.get(one.id)?.cancel(one.cancelled_by);
      this.poke(one.id);
    }
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

  /** Starts its loop if it has none. */
  wake(id: string): void {
    if (!this.#loops.has(id)) this.poke(id);
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
    await this.#appendAtRest(saga, { kind: "verdict", verdict, by }, guard);
    this.poke(id);
  }

  /** Notes the wish, `also` with it unless it was noted before, and ends what is under way; the loop unwinds. */
  async cancel(
    id: string,
    by: string,
    also: (queries: Queries) => Promise<void> = async () => {},
  ): Promise<void> {
    const { state } = await this.#journal.load(id);
    if (state.phase !== "forward" || state.crossed) {
      throw new Fault("conflict", `${this.#name} ${id} cannot be cancelled any more: it is ${state.phase}`, {
        fix: "wait until it is finished, then revert it",
      });
    }
    await this.#deps.store.transaction(async queries => {
      if (await cancelSaga(queries, id, by)) await also(queries);
    });
    this.#loops.get(id)?.cancel(by);
    this.poke(id);
  }

  /** A person has looked: a parked saga tries again. */
  async resume(id: string, by: string, also?: (write: Write) => Promise<void>): Promise<void> {
    const saga = await this.#journal.load(id);
    if (saga.state.stuck !== undefined) await this.#appendAtRest(saga, { kind: "resumed", by }, also);
    this.poke(id);
  }

  /** Within the caller's transaction. */
  async park(
    queries: Queries,
    id: string,
    problem: Pick<Line & { kind: "stuck" }, "step" | "fault">,
  ): Promise<void> {
    const saga = await this.#journal.takeWithin(queries, await this.#journal.load(id, queries));
    await this.#journal.appendWithin(queries, saga, { kind: "stuck", parked: true, ...problem });
  }

  /** The world has ended it already; `also` writes how. */
  async end(id: string, also: (write: Write) => Promise<void>): Promise<void> {
    await this.#appendAtRest(await this.#journal.load(id), { kind: "ended" }, also);
  }

  /** A person's word about the world; `also` is committed with it. */
  async tell(id: string, by: string, gives: Facts, also: (write: Write) => Promise<void>): Promise<void> {
    const saga = await this.#journal.load(id);
    await this.#appendAtRest(saga, { kind: "told", by, gives }, also);
    this.poke(id);
  }

  /** Leaves every saga where it is. */
  async close(): Promise<void> {
    this.#closing.abort(new Fault("cancelled", "the controller is stopping"));
    await Promise.all([...this.#loops.values()].map(loop => loop.ended));
  }

  /** A person's word; whoever carries it in becomes the owner. One who was overtaken by the loop reads again. */
  async #appendAtRest(saga: LoadedSaga, line: Line, also?: (write: Write) => Promise<void>): Promise<void> {
    try {
      await this.#journal.append(await this.#journal.takeAtRest(saga), line, also);
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
      cancel: by => cancelling.abort(cancelledBy(by)),
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
      let isOver = false;
      while (!isOver && !this.#closing.signal.aborted) {
        isOver = await this.#turn(id, loop, cancelled, hurried).catch(error => this.#unlessOutage(error));
      }
    } catch (error) {
      if (error instanceof Frozen) this.#halted.add(id);
      const isExpected = error instanceof Fenced || error instanceof Frozen || this.#closing.signal.aborted;
      if (!isExpected) this.#deps.onBug(error);
    } finally {
      this.#loops.delete(id);
    }
  }

  /** From the journal's last line to the next one; true when there is nothing more for this loop to do. */
  async #turn(id: string, loop: Loop, cancelled: AbortSignal, hurried: () => AbortSignal): Promise<boolean> {
    loop.pokedAgain = false;
    if ((await readFreeze(this.#deps.store.queries)) !== undefined) throw new Frozen(id);
    const saga = await this.#journal.load(id);
    if (!this.#journal.owns(saga)) return true;
    const next = nextAction(this.#deps.kind.plan, saga.state, saga.row.cancel === 1);
    if (next.kind === "rest" && !loop.pokedAgain) return true;
    if (next.kind === "begin") {
      const begun = await this.#journal
        .begin(saga, next.step)
        .catch(error => this.#unlessOvertaken(id, error));
      return begun === false && !loop.pokedAgain;
    }
    await this.#carryOut(saga, next, cancelled, hurried).catch(error => this.#unlessOvertaken(id, error));
    return false;
  }

  /** A store that does not answer is asked again; what of the last line was written is read then. */
  async #unlessOutage(error: unknown): Promise<boolean> {
    if (!(error instanceof Fault) || !error.isUnknown || this.#closing.signal.aborted) throw error;
    await this.#deps.clock.sleep(STORE_RETRY_MS, this.#closing.signal);
    return false;
  }

  /** A line that a person has written meanwhile is read and followed; a saga of another owner is let go. */
  async #unlessOvertaken(id: string, error: unknown): Promise<void> {
    const isOurs = error instanceof Fenced && (await this.#journal.load(id)).row.owner === this.#deps.owner;
    if (!isOurs) throw error;
  }

  async #carryOut(
    saga: LoadedSaga,
    next: Exclude<NextAction, { kind: "begin" }>,
    cancelled: AbortSignal,
    hurried: () => AbortSignal,
  ): Promise<void> {
    switch (next.kind) {
      case "await-verdict":
        return this.#journal.append(saga, { kind: "waiting" });
      case "end":
        return this.#journal.append(saga, { kind: "ended" });
      case "unwind": {
        const cause = toFaultInfo(cancelledBy(saga.row.cancelled_by));
        return this.#journal.append(saga, { kind: "unwinding", step: next.step, cause });
      }
      case "run":
      case "undo":
      case "tidy":
        return this.#steps.carryOut(saga, { step: next.step, phase: next.kind, cancelled, hurried });
      case "rest":
        return;
    }
  }

  get #name(): string {
    return this.#deps.kind.plan.name;
  }
}

/** Nobody is named by a store of before there were names. */
const cancelledBy = (by: string): Fault => new Fault("cancelled", `cancelled by ${by || "request"}`);
