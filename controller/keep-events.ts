/** Numbers what has happened, soon after it has, and forgets what is too old: for as long as the controller runs. */

import type { Clock } from "./clock.js";
import { numberNotifications } from "./store/notifications.js";
import type { Store } from "./store/store.js";

const LOOK_MS = 500;

interface Dependencies {
  readonly store: Pick<Store, "queries" | "transaction" | "changed">;
  readonly clock: Pick<Clock, "sleep">;
  readonly kept: number;
  /** The store did not answer; the next look tells. */
  readonly onFailure: (error: unknown) => void;
}

/** Until the signal aborts. Where nothing was written there is nothing to look for. */
export async function keepEvents(
  { store, clock, kept, onFailure }: Dependencies,
  signal: AbortSignal,
): Promise<void> {
  let isBehind = true;
  while (!signal.aborted) {
    if (!isBehind) await store.changed(signal);
    isBehind = false;
    try {
      while ((await numberNotifications(store, kept)) > 0) if (signal.aborted) return;
    } catch (error) {
      isBehind = true;
      onFailure(error);
    }
    await clock.sleep(LOOK_MS, signal).catch(() => undefined);
  }
}
