/** Looks for drift every minute, and after hosts in quarantine that are heard again more often than that. */

import { asFault } from "../../proto/fault.js";
import type { Drift } from "../../proto/gen/ferry/v1/controller.js";
import type { Clock } from "../clock.js";
import type { Audit } from "./audit.js";
import type { ReturnedHosts } from "./returned-host.js";

const TICK_MS = 5_000;
const AUDIT_EVERY_TICKS = 12;

interface Dependencies {
  readonly clock: Clock;
  readonly audit: Audit;
  readonly returned: ReturnedHosts;
  /** Drift that was not there at the look before. */
  readonly onDrift: (drift: Drift) => void;
  readonly onTrouble: (message: string) => void;
}

export class DriftWatch {
  readonly #deps: Dependencies;
  #last: readonly Drift[] = [];

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  /** Of the last look. */
  get drifts(): readonly Drift[] {
    return this.#last;
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, onTrouble } = this.#deps;
    for (let tick = 1; !signal.aborted; tick += 1) {
      await clock.sleep(TICK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.#tick(tick).catch((error: unknown) => onTrouble(asFault(error).message));
    }
  }

  async look(heal: boolean): Promise<Drift[]> {
    const drifts = await this.#deps.audit.look(heal);
    const known = new Set(this.#last.map(({ message }) => message));
    for (const drift of drifts.filter(({ message }) => !known.has(message))) this.#deps.onDrift(drift);
    this.#last = drifts.filter(({ healed }) => !healed);
    return drifts;
  }

  async #tick(tick: number): Promise<void> {
    await this.#deps.returned.reconcileAll();
    if (tick % AUDIT_EVERY_TICKS === 0) await this.look(true);
  }
}
