/** Numbers what has happened, soon after it has, and forgets what is too old: for as long as the controller runs. */

import type { Clock } from "./clock.js";
import { numberNotifications } from "./store/notifications.js";
import type { Transactions } from "./store/store.js";

const LOOK_MS = 500;

interface Dependencies {
  readonly store: Transactions;
  readonly clock: Pick<Clock, "sleep">;
  readonly kept: number;
  /** The store did not answer; the next look tells. */
  readonly onFailure: (error: unknown) => void;
}

/** Until the signal aborts. */
export async function keepEvents(
  { store, clock, kept, onFailure }: Dependencies,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      while ((await numberNotifications(store, kept)) > 0) if (signal.aborted) return;
    } catch (error) {
      onFailure(error);
    }
    await clock.sleep(LOOK_MS, signal).catch(() => undefined);
  }
}
