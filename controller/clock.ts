/** Time as a parameter: the wall clock for records, a clock that never steps for intervals, and waiting. */

import { setTimeout as wait } from "node:timers/promises";

export interface Clock {
  /** Milliseconds since the epoch. May step. */
  nowMs(): number;
  /** Whole milliseconds, because records have no others, since some fixed moment of this process. Never steps. */
  monotonicMs(): number;
  /** Rejects with the signal's reason when that aborts first. */
  sleep(durationMs: number, signal: AbortSignal): Promise<void>;
}

/** The longest a Node timer can wait. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => Math.trunc(performance.now()),
  async sleep(durationMs, signal) {
    try {
      await wait(Math.min(durationMs, LONGEST_TIMER_MS), undefined, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  },
};
