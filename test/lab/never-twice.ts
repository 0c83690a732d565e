/** Looks at /proc for as long as it lives, and complains in the end if any server ever had two QEMU processes at once. */

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { QemuWatch } from "./qemu-watch.js";

const LOOK_EVERY_MS = 100;

export class NeverTwice implements AsyncDisposable {
  readonly #seen = new Set<string>();
  #looks = 0;
  readonly #ending = new AbortController();
  readonly #ended = this.#look();

  async #look(): Promise<void> {
    const watch = new QemuWatch();
    while (!this.#ending.signal.aborted) {
      for (const [uuid, pids] of watch.look()) {
        if (pids.length > 1) this.#seen.add(`${uuid}: ${pids.join(" ")}`);
      }
      this.#looks += 1;
      await pause(LOOK_EVERY_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#ended;
    assert.deepEqual([...this.#seen], [], "servers that ran twice");
    assert(this.#looks > 1, "nobody looked");
  }
}
