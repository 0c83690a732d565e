/**
 * This controller's lease on what it carries out. While it lasts nobody else touches the sagas and tasks that this
 * process owns; when it cannot be renewed in time the process ends, because others take over from then on. One that was
 * frozen notices the same when it thaws, and agents refuse what it still says by its term.
 *
 *   enter ─ renewed every third of it ─▶ … ─ leave
 *                └ not renewed in time ─▶ onLost
 *
 * A store that is not shared was locked when it was opened: everybody before is dead, and the lease lasts for ever.
 */

import { Fault } from "../proto/fault.js";
import type { Clock } from "./clock.js";
import { enterProcess, FOR_EVER_MS, forgetProcesses, leaveProcess, renewProcess } from "./store/processes.js";
import type { Store } from "./store/store.js";

interface Dependencies {
  readonly store: Pick<Store, "queries" | "isShared">;
  readonly clock: Clock;
  readonly owner: string;
  readonly leaseMs: number;
  readonly onLost: (fault: Fault) => void;
}

export class ProcessLease {
  readonly #deps: Dependencies;
  readonly #leaving = new AbortController();
  #renewing: Promise<void> = Promise.resolve();

  private constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  static async enter(deps: Dependencies): Promise<ProcessLease> {
    const { store, owner, clock, leaseMs } = deps;
    const lease = new ProcessLease(deps);
    if (!store.isShared) {
      await forgetProcesses(store.queries);
      await enterProcess(store.queries, owner, FOR_EVER_MS);
      return lease;
    }
    const enteredMs = clock.monotonicMs();
    await enterProcess(store.queries, owner, leaseMs);
    lease.#renewing = lease.#renew(enteredMs);
    return lease;
  }

  /** What this process owned is free for the others at once. */
  async leave(): Promise<void> {
    this.#leaving.abort();
    await this.#renewing;
    const { store, owner } = this.#deps;
    // A store that is gone has nobody to tell; the lease runs out by itself.
    await leaveProcess(store.queries, owner).catch(() => undefined);
  }

  async #renew(enteredMs: number): Promise<void> {
    const { clock, leaseMs, onLost } = this.#deps;
    const signal = this.#leaving.signal;
    let renewedMs = enteredMs;
    for (;;) {
      await clock.sleep(leaseMs / 3, signal).catch(() => undefined);
      if (signal.aborted) return;
      const askedMs = clock.monotonicMs();
      // Counted from before it was asked: the store may count from a moment later, never from an earlier one.
      if (askedMs - renewedMs < leaseMs && (await this.#isRenewed())) renewedMs = askedMs;
      if (clock.monotonicMs() - renewedMs >= leaseMs) {
        onLost(lostAfter(leaseMs));
        return;
      }
    }
  }

  async #isRenewed(): Promise<boolean> {
    const { store, owner, leaseMs } = this.#deps;
    // Unknown is not renewed; the next attempt tells.
    return renewProcess(store.queries, owner, leaseMs).catch(() => false);
  }
}

const lostAfter = (leaseMs: number): Fault =>
  new Fault("unreachable", `this controller could not renew its lease for ${leaseMs / 1000} s`, {
    fix: "nothing: it starts again, and other controllers take over meanwhile; look at the store if it repeats",
  });
