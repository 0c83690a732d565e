/**
 * Tells everybody when a host falls silent; the heartbeat that ends the silence tells that, too (Fleet). Silence is that the store
 * holds no newer heartbeat, whichever controller heard the last one, measured by a clock that never steps and from this
 * controller's own start at the earliest. It is written down, so that of several controllers only the first tells.
 */

import type { Clock } from "../clock.js";
import { changeHost, findHost, listHosts } from "../store/hosts.js";
import type { Transactions } from "../store/store.js";
import { HEARTBEAT_INTERVAL_MS, SILENT_AFTER_MS } from "./fleet.js";
import { tellHost } from "./tell-host.js";

interface Dependencies {
  readonly store: Transactions;
  readonly clock: Clock;
  readonly onSilent: (host: string) => void;
}

interface Beat {
  /** As the store has it. */
  readonly lastHeartbeatMs: number;
  /** When it was new to us. */
  readonly seenMs: number;
}

export class SilenceWatch {
  readonly #deps: Dependencies;
  #beats: ReadonlyMap<string, Beat> = new Map();

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  /** Until the signal aborts. A store that does not answer is asked again. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look().catch(() => undefined);
      await this.#deps.clock.sleep(HEARTBEAT_INTERVAL_MS, signal).catch(() => undefined);
    }
  }

  async look(): Promise<void> {
    const { store, clock } = this.#deps;
    const nowMs = clock.monotonicMs();
    const known = this.#beats;
    // Of hosts that are no more nothing is kept.
    const beats = new Map<string, Beat>();
    this.#beats = beats;
    for (const { name, last_heartbeat_ms: lastHeartbeatMs, silent } of await listHosts(store.queries)) {
      const last = known.get(name);
      const beat = last?.lastHeartbeatMs === lastHeartbeatMs ? last : { lastHeartbeatMs, seenMs: nowMs };
      beats.set(name, beat);
      if (silent === 0 && nowMs - beat.seenMs > SILENT_AFTER_MS) await this.#tell(name, beat);
    }
  }

  /** Unless it is heard, or another controller tells, in this very moment. */
  async #tell(host: string, { lastHeartbeatMs }: Beat): Promise<void> {
    const { store, clock, onSilent } = this.#deps;
    const isTold = await store.transaction(async queries => {
      const row = await findHost(queries, host);
      if (row?.silent !== 0 || row.last_heartbeat_ms !== lastHeartbeatMs) return false;
      await changeHost(queries, host, { silent: 1 });
      const message = `down: not heard for ${SILENT_AFTER_MS / 1000} s`;
      await tellHost(queries, host, { type: "service.update", message }, clock.nowMs());
      return true;
    });
    if (isTold) onSilent(host);
  }
}
