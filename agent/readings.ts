/**
 * Who reads a server's files for no operation's sake: a verification that may take minutes.
 *
 * A file that is open cannot be proven unused, and so not fenced (SAFETY R7); an operation of the server therefore ends
 * whoever still reads, and waits until the file is closed.
 */

import { Fault } from "../proto/fault.js";

export class Readings {
  readonly #open = new Set<Reading>();

  /** Ends by itself, when it is disposed, or when an operation of the server begins. */
  begin(serverId: string, signal: AbortSignal): Reading {
    const reading = new Reading(serverId, signal, () => this.#open.delete(reading));
    this.#open.add(reading);
    return reading;
  }

  /** Resolves when no file of this server is being read any more. */
  async end(serverId: string): Promise<void> {
    const fault = new Fault("conflict", "the server was taken in hand while its files were read", {
      fix: "verify again when that is over",
    });
    const readings = [...this.#open].filter(reading => reading.serverId === serverId);
    await Promise.all(readings.map(reading => reading.end(fault)));
  }
}

class Reading implements Disposable {
  readonly serverId: string;
  readonly signal: AbortSignal;
  readonly #stop = new AbortController();
  readonly #forget: () => void;
  #settled: Promise<unknown> = Promise.resolve();

  constructor(serverId: string, signal: AbortSignal, forget: () => void) {
    this.serverId = serverId;
    this.signal = AbortSignal.any([signal, this.#stop.signal]);
    this.#forget = forget;
  }

  /** Files that `work` opens are closed again when it settles. */
  async during<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    this.signal.throwIfAborted();
    const running = work(this.signal);
    this.#settled = running.catch(() => {});
    return await running;
  }

  async end(fault: Fault): Promise<void> {
    this.#stop.abort(fault);
    await this.#settled;
  }

  [Symbol.dispose](): void {
    this.#forget();
  }
}

export type { Reading };
