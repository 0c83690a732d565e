/**
 * Time that passes only when nothing else can happen. Everything in the simulated controller runs on promises, so one
 * turn of the event loop drains it; whatever is still waiting then waits for the earliest timer.
 */

import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../../controller/clock.js";

interface Timer {
  readonly atMs: number;
  readonly fire: () => void;
}

const START_MS = Date.UTC(2026, 0, 1);

export class VirtualClock implements Clock {
  #elapsedMs = 0;
  readonly #timers = new Set<Timer>();

  nowMs(): number {
    return START_MS + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  sleep(durationMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const stop = () => {
        this.#timers.delete(timer);
        reject(signal.reason);
      };
      const fire = () => {
        signal.removeEventListener("abort", stop);
        resolve();
      };
      const timer = { atMs: this.#elapsedMs + durationMs, fire };
      this.#timers.add(timer);
      signal.addEventListener("abort", stop, { once: true });
    });
  }

  advance(durationMs: number): void {
    this.#elapsedMs += durationMs;
  }

  /** Lets everything happen that can, and time pass in between, until the condition holds or the turns run out. */
  async until(condition: () => boolean | Promise<boolean>, turns = 3_000): Promise<boolean> {
    for (let count = 0; count < turns; count += 1) {
      await turn();
      if (await condition()) return true;
      await turn();
      this.#fireEarliest();
    }
    return false;
  }

  #fireEarliest(): void {
    const [earliest] = [...this.#timers].toSorted((one, other) => one.atMs - other.atMs);
    if (earliest === undefined) return;
    this.#timers.delete(earliest);
    this.#elapsedMs = Math.max(this.#elapsedMs, earliest.atMs);
    earliest.fire();
  }
}
