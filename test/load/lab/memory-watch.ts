/** How much memory the controller takes, asked of its own metrics once a second; a controller that was restarted begins anew. */

import { setTimeout as pause } from "node:timers/promises";
import type { Lab } from "../../lab/lab.js";

const LOOK_EVERY_MS = 1_000;
/** A controller that has just started is still loading. */
const FIRST_LOOKS = 5;
const MIB = 1024 ** 2;

export class MemoryWatch {
  readonly #lab: Lab;
  readonly #ending = new AbortController();
  /** By life of the controller. */
  readonly #lives: number[][] = [[]];
  readonly #ended: Promise<void>;

  constructor(lab: Lab) {
    this.#lab = lab;
    this.#ended = this.#look();
  }

  /** From now on it is another process. */
  begin(): void {
    this.#lives.push([]);
  }

  /** `growthMib`: the most that any life grew by since its first looks. */
  async end(): Promise<{ readonly growthMib: number; readonly mostMib: number }> {
    this.#ending.abort();
    await this.#ended;
    const growths = this.#lives.map(
      looks => Math.max(0, ...looks) - Math.max(0, ...looks.slice(0, FIRST_LOOKS)),
    );
    const inMib = (bytes: number) => Math.round(bytes / MIB);
    return { growthMib: inMib(Math.max(...growths)), mostMib: inMib(Math.max(...this.#lives.flat())) };
  }

  async #look(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      const { stdout } = await this.#lab.exec("ctl", ["curl", "-s", "-m", "2", "http://ctl:7404/metrics"]);
      const [, bytes] = /^process_resident_memory_bytes (\S+)$/m.exec(stdout) ?? [];
      if (bytes !== undefined) this.#lives.at(-1)?.push(Number(bytes));
      await pause(LOOK_EVERY_MS);
    }
  }
}
