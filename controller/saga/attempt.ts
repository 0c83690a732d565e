/**
 * One attempt at a piece of work that may never answer. When a signal aborts or the limit passes the attempt is over,
 * whether or not the work has noticed; the work is told by its signal and can commit nothing afterwards.
 */

import { Fault } from "../../proto/fault.js";
import type { Clock } from "../clock.js";

interface Limits {
  readonly clock: Clock;
  readonly signals: readonly AbortSignal[];
  readonly limitMs: number;
  /** Named in the fault. */
  readonly step: string;
}

export async function attempt<T>(limits: Limits, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, ...limits.signals]);
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  void limit(limits, over);
  try {
    signal.throwIfAborted();
    return await Promise.race([work(signal), aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    over.abort(new Fault("cancelled", `${limits.step} is over`));
  }
}

async function limit({ clock, limitMs, step }: Limits, over: AbortController): Promise<void> {
  if (limitMs === Number.POSITIVE_INFINITY) return;
  try {
    await clock.sleep(Math.max(0, limitMs), over.signal);
    over.abort(new Fault("timeout", `${step} gave no answer within ${Math.round(limitMs / 1000)} s`));
  } catch {
    // The attempt was over first.
  }
}
