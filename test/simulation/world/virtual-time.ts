/**
 * Time that passes only when nothing else can happen.
 *
 * Whatever is simulated runs on promises, so one turn of the real event loop drains it; then the earliest event fires,
 * in the name of the process that asked for it. An event of a process that is dead never fires; one of a process that
 * is frozen fires when it thaws.
 */

import { context, type Process } from "./process.js";

/** The real one: what is simulated sees another. */
const turn = setImmediate;

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly process: Process | undefined;
  readonly fire: () => void;
  isCancelled: boolean;
}

export type Cancel = () => void;

export const START_MS = Date.UTC(2026, 0, 1);

export class VirtualTime {
  #nowMs = 0;
  #order = 0;
  readonly #heap: Event[] = [];
  /** Called after each event, when everything that it caused has come to rest. */
  afterEvent: () => void = () => {};
  events = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, process: Process | undefined, fire: () => void): Cancel {
    const event = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#order++,
      process,
      fire,
      isCancelled: false,
    };
    this.#push(event);
    return () => {
      event.isCancelled = true;
    };
  }

  pause(delayMs: number, process?: Process): Promise<void> {
    return new Promise(resolve => this.after(delayMs, process, resolve));
  }

  /** Until the condition holds; false when it does not before `limitMs` of virtual time. */
  async run(condition: () => boolean, limitMs: number): Promise<boolean> {
    const endMs = this.#nowMs + limitMs;
    for (;;) {
      await new Promise<void>(resolve => turn(resolve));
      this.afterEvent();
      if (condition()) return true;
      const event = this.#pop();
      if (event === undefined || event.atMs > endMs) {
        if (event !== undefined) this.#push(event);
        this.#nowMs = endMs;
        return false;
      }
      this.#fire(event);
    }
  }

  #fire(event: Event): void {
    this.events += 1;
    this.#nowMs = Math.max(this.#nowMs, event.atMs);
    const { process, fire } = event;
    if (process === undefined) context.exit(fire);
    else process.enter(fire);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (isBefore(heap[above] as Event, event)) break;
      heap[at] = heap[above] as Event;
      at = above;
    }
    heap[at] = event;
  }

  /** The earliest that still counts. */
  #pop(): Event | undefined {
    for (;;) {
      const event = this.#take();
      if (event === undefined) return undefined;
      if (!event.isCancelled && event.process?.state !== "dead") return event;
    }
  }

  #take(): Event | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1] as Event, heap[below] as Event)) below += 1;
      if (isBefore(last, heap[below] as Event)) break;
      heap[at] = heap[below] as Event;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

const isBefore = (one: Event, other: Event): boolean =>
  one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
