/**
 * Time and chance as the daemons' code sees them: `Date`, timers, `performance.now` and `Math.random` of the machine whose
 * process asks. Code that
 * runs in no simulated process, the test runner's own, keeps the real ones. Install them before any daemon is loaded.
 */

import { context, type Process } from "../world/process.js";
import { START_MS } from "../world/virtual-time.js";

const real = {
  Date: globalThis.Date,
  setTimeout: globalThis.setTimeout,
  setInterval: globalThis.setInterval,
  clearTimeout: globalThis.clearTimeout,
  clearInterval: globalThis.clearInterval,
  timeoutSignal: AbortSignal.timeout.bind(AbortSignal),
  monotonicMs: performance.now.bind(performance),
  random: Math.random,
};

class Timer {
  readonly #process: Process;
  readonly #delayMs: number;
  readonly #fire: () => void;
  #cancel: () => void = () => {};

  constructor(process: Process, delayMs: number, fire: () => void, repeats: boolean) {
    this.#process = process;
    this.#delayMs = delayMs;
    this.#fire = fire;
    this.#start(repeats);
  }

  unref(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  cancel(): void {
    this.#cancel();
  }

  #start(repeats: boolean): void {
    const { time } = this.#process.machine.world;
    this.#cancel = time.after(this.#delayMs, this.#process, () => {
      if (repeats) this.#start(true);
      this.#fire();
    });
  }
}

type Callback = (...args: unknown[]) => void;

const starter =
  (repeats: boolean, realOne: (body: Callback, delayMs?: number, ...args: unknown[]) => unknown) =>
  (body: Callback, delayMs = 0, ...args: unknown[]): unknown => {
    const process = context.getStore();
    if (process === undefined) return realOne(body, delayMs, ...args);
    return new Timer(process, Math.max(repeats ? 1 : 0, delayMs), () => body(...args), repeats);
  };

const stopper = (realOne: (timer: never) => void) => (timer: unknown) => {
  if (timer instanceof Timer) timer.cancel();
  else realOne(timer as never);
};

function timeoutSignal(delayMs: number): AbortSignal {
  const process = context.getStore();
  if (process === undefined) return real.timeoutSignal(delayMs);
  const controller = new AbortController();
  const reason = () => new DOMException("The operation was aborted due to timeout", "TimeoutError");
  process.machine.world.time.after(delayMs, process, () => controller.abort(reason()));
  return controller.signal;
}

/** The machine's wall clock, which may be wrong and may step. */
function nowMs(): number {
  const process = context.getStore();
  if (process === undefined) return real.Date.now();
  const { world, clockOffsetMs } = process.machine;
  return START_MS + Math.floor(world.time.nowMs) + clockOffsetMs;
}

class MachineDate extends real.Date {
  static override now(): number {
    return nowMs();
  }

  constructor(...args: [] | [string | number | Date]) {
    if (args.length === 0) super(nowMs());
    else super(...args);
  }
}

export function installGlobals(): void {
  Object.assign(globalThis, {
    Date: MachineDate,
    setTimeout: starter(false, real.setTimeout as never),
    setInterval: starter(true, real.setInterval as never),
    clearTimeout: stopper(real.clearTimeout as never),
    clearInterval: stopper(real.clearInterval as never),
  });
  AbortSignal.timeout = timeoutSignal;
  Math.random = () => context.getStore()?.machine.random.next() ?? real.random();
  performance.now = () => context.getStore()?.machine.world.time.nowMs ?? real.monotonicMs();
}
