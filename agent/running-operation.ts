/**
 * One operation under way: what it may be told (stop), what it tells (progress, notes, the outcome) and to whom
 * (any number of followers, each of whom sees the latest progress, every note and the outcome).
 */

import type { PerformRequest, PerformResponse } from "../proto/gen/ferry/v1/agent.js";
import type { Progress } from "../proto/gen/ferry/v1/model.js";
import type { Call } from "./verbs/verb.js";

type Update = NonNullable<PerformResponse["update"]>;

export class RunningOperation implements Call {
  readonly key: string;
  readonly serverId: string;
  readonly migrationId: string;
  readonly epoch: number;
  readonly settled: Promise<void>;
  readonly #abort = new AbortController();
  readonly #notes: Update[] = [];
  #latest: Update | undefined;
  #outcome: Update | undefined;
  #revision = 0;
  #changed = Promise.withResolvers<void>();
  readonly #settled = Promise.withResolvers<void>();

  constructor(request: PerformRequest) {
    this.key = request.key;
    this.serverId = request.serverId;
    this.migrationId = request.migrationId;
    this.epoch = request.epoch;
    this.settled = this.#settled.promise;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  isOf(serverId: string): boolean {
    return this.serverId === serverId;
  }

  note(text: string): void {
    this.#notes.push({ $case: "note", value: text });
    this.#wake();
  }

  progress(progress: Progress): void {
    this.#latest = { $case: "progress", value: progress };
    this.#wake();
  }

  settle(outcome: Update): void {
    this.#outcome = outcome;
    this.#settled.resolve();
    this.#wake();
  }

  /** Aborts with `reason` and waits until the verb has let go. */
  async stop(reason: Error): Promise<void> {
    this.#abort.abort(reason);
    await this.settled;
  }

  /** Everything a follower has not seen yet, until the outcome or until the follower leaves. */
  async *follow(signal: AbortSignal): AsyncGenerator<PerformResponse> {
    const left = new Promise<void>(resolve =>
      signal.addEventListener("abort", () => resolve(), { once: true }),
    );
    let seenNotes = 0;
    let seenProgress: Update | undefined;
    while (!signal.aborted) {
      const revision = this.#revision;
      for (const note of this.#notes.slice(seenNotes)) yield { update: note };
      seenNotes = this.#notes.length;
      if (this.#latest !== undefined && this.#latest !== seenProgress) {
        seenProgress = this.#latest;
        yield { update: this.#latest };
      }
      if (revision !== this.#revision) continue;
      if (this.#outcome !== undefined) {
        yield { update: this.#outcome };
        return;
      }
      await Promise.race([this.#changed.promise, left]);
    }
  }

  #wake(): void {
    this.#revision += 1;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}
