/**
 * Gives turns and wakes those whose turn it is: at once when one is freed here, and every few seconds for the turns that
 * nobody gave, because the controller that should have has stopped or was not heard.
 */

import type { SagaRunner } from "../saga/runner.js";
import type { Queries } from "../store/schema.js";
import { listTaken } from "../store/turns.js";
import type { MigrationDependencies } from "./dependencies.js";
import type { QueueLimits } from "./fair-queue.js";
import type { MigrationWorld } from "./migration-world.js";
import { giveTurns, setPriority, type Waiting, waitingTurns } from "./turns.js";

const TICK_MS = 5_000;

type Dependencies = Pick<MigrationDependencies, "store" | "clock" | "hints"> & {
  readonly runner: Pick<SagaRunner<MigrationWorld>, "poke" | "wake">;
  readonly limits: QueueLimits;
};

export class TurnGiver {
  readonly #deps: Dependencies;

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  /** Until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    const { clock, store, runner } = this.#deps;
    while (!signal.aborted) {
      await clock.sleep(TICK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      // A store that does not answer is asked again at the next tick.
      await this.#give().catch(() => undefined);
      for (const id of await listTaken(store.queries).catch(() => [])) runner.wake(id);
    }
  }

  /** From -10 to 10; whoever is ahead now may have its turn at once. */
  async prioritise(
    id: string,
    priority: number,
    recorded: (queries: Queries) => Promise<void>,
  ): Promise<void> {
    await setPriority(this.#deps.store, id, priority, recorded);
    this.freed();
  }

  /** Those that wait, and why. */
  waiting(): Promise<readonly Waiting[]> {
    const { store, clock, limits } = this.#deps;
    return waitingTurns(store.queries, limits, clock.nowMs());
  }

  /** Somebody else may copy now. What fails here is done at the next tick. */
  freed(): void {
    this.#give().catch(() => undefined);
  }

  async #give(): Promise<void> {
    const { store, clock, hints, runner, limits } = this.#deps;
    for (const id of await giveTurns(store, limits, clock.nowMs())) {
      runner.poke(id);
      hints.announce("turn", id);
    }
  }
}
