/** Stands for `node:timers/promises`: waiting passes virtual time. */

import { currentProcess } from "../world/process.js";

interface Options {
  readonly signal?: AbortSignal;
  readonly ref?: boolean;
}

const abortError = (signal: AbortSignal): Error =>
  Object.assign(new Error("The operation was aborted", { cause: signal.reason }), {
    name: "AbortError",
    code: "ABORT_ERR",
  });

export function setTimeout<T>(delayMs = 0, value?: T, { signal }: Options = {}): Promise<T> {
  const process = currentProcess();
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(abortError(signal));
    const stop = () => {
      cancel();
      reject(abortError(signal as AbortSignal));
    };
    const cancel = process.machine.world.time.after(delayMs, process, () => {
      signal?.removeEventListener("abort", stop);
      resolve(value as T);
    });
    signal?.addEventListener("abort", stop, { once: true });
  });
}

export async function* setInterval<T>(delayMs: number, value?: T, options: Options = {}): AsyncGenerator<T> {
  for (;;) yield await setTimeout(delayMs, value as T, options);
}

/** One turn of an event loop that has nothing else to do. */
export const setImmediate = <T>(value?: T): Promise<T> => setTimeout(0, value);
