/**
 * The network between the machines: messages take their time, overtake each other, and wait where a link is cut.
 *
 * A link has two directions that can be cut apart. What is sent into a cut is held, as TCP does, and goes on when the
 * link heals; whoever waits too long is told that the connection is lost. `drop` breaks a connection that goes well
 * otherwise, as a reset does.
 */

import type { Machine } from "./machine.js";
import type { Process } from "./process.js";
import type { Random } from "./random.js";
import type { VirtualTime } from "./virtual-time.js";

/** Something that can be told its connection is gone. */
export interface Connection {
  readonly from: Machine;
  readonly to: Machine;
  lose(why: string): void;
}

interface Held {
  readonly deliver: () => void;
  readonly lose: () => void;
}

/** A request on its way, for somebody who interferes. */
export interface Intercepted {
  readonly from: Machine;
  readonly to: Machine;
  readonly path: string;
  readonly body: Buffer;
  /** It is there, with somebody waiting for what comes of it or not. */
  arrive(isAnswered: boolean): void;
  lose(why: string): void;
}

/** How long a silent peer is believed in. */
const PATIENCE_MS = { least: 3_000, most: 20_000 };

/** What a zombie, or a proxy, may still send. */
const LATE_MS = 40_000;

export interface Weather {
  /** Typical and slowest time of a message. */
  readonly latencyMs: readonly [number, number];
  /** Of each message: that the connection breaks instead. */
  readonly dropChance: number;
  /** Of each request: that it arrives twice. */
  readonly repeatChance: number;
}

export const CALM: Weather = { latencyMs: [0.2, 2], dropChance: 0, repeatChance: 0 };

export class Network {
  weather: Weather = CALM;
  /** When the last request arrives that is on its way once more. */
  lastRepeatMs = 0;
  /** Told of each request; true: it is seen to otherwise. */
  intercept: (request: Intercepted) => boolean = () => false;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #listeners = new Map<string, unknown>();
  readonly #cuts = new Set<string>();
  readonly #held = new Map<string, Set<Held>>();
  readonly #connections = new Set<Connection>();

  constructor(time: VirtualTime, random: Random) {
    this.#time = time;
    this.#random = random;
  }

  listen(address: string, process: Process, listener: unknown): void {
    this.#listeners.set(address, listener);
    process.onDeath.add(() => {
      if (this.#listeners.get(address) === listener) this.#listeners.delete(address);
    });
  }

  unlisten(address: string): void {
    this.#listeners.delete(address);
  }

  at<Listener>(address: string): Listener | undefined {
    return this.#listeners.get(address) as Listener | undefined;
  }

  open(connection: Connection): void {
    this.#connections.add(connection);
  }

  close(connection: Connection): void {
    this.#connections.delete(connection);
  }

  isCut(from: Machine, to: Machine): boolean {
    return this.#cuts.has(key(from, to));
  }

  /** Arrives after its time; or is lost with its connection. Answers when it will arrive, if nothing comes between. */
  send(from: Machine, to: Machine, deliver: () => void, lose: () => void, notBeforeMs = 0): number {
    const [typical, slowest] = this.weather.latencyMs;
    const isSlow = this.#random.chance(0.05);
    const delayMs = typical + this.#random.next() * (isSlow ? slowest : typical);
    const atMs = Math.max(this.#time.nowMs + delayMs, notBeforeMs);
    if (from !== to && this.#random.chance(this.weather.dropChance)) {
      this.#time.after(delayMs, undefined, lose);
      return atMs;
    }
    this.#time.after(atMs - this.#time.nowMs, undefined, () => this.#arrive(from, to, { deliver, lose }));
    return atMs;
  }

  /** A request may arrive once more, long after its sender has gone, perhaps. */
  perhapsRepeat(from: Machine, to: Machine, deliver: () => void): void {
    if (!this.#random.chance(this.weather.repeatChance)) return;
    const laterMs = this.#random.chance(0.5) ? this.#random.next() * LATE_MS : 0;
    const atMs = this.send(from, to, deliver, () => {}, this.#time.nowMs + laterMs);
    this.lastRepeatMs = Math.max(this.lastRepeatMs, atMs);
  }

  cut(from: Machine, to: Machine): void {
    this.#cuts.add(key(from, to));
    for (const connection of this.#connections) {
      if (!isBetween(connection, from, to)) continue;
      this.#time.after(this.#patienceMs(), undefined, () => {
        if (this.#connections.has(connection) && this.isCut(from, to))
          connection.lose("no answer to keepalive");
      });
    }
  }

  heal(from: Machine, to: Machine): void {
    this.#cuts.delete(key(from, to));
    const held = this.#held.get(key(from, to)) ?? new Set();
    this.#held.delete(key(from, to));
    for (const message of held) this.#time.after(this.weather.latencyMs[0], undefined, message.deliver);
  }

  healAll(machines: Iterable<Machine>): void {
    const all = [...machines];
    for (const from of all) for (const to of all) if (this.isCut(from, to)) this.heal(from, to);
  }

  #arrive(from: Machine, to: Machine, message: Held): void {
    if (!this.isCut(from, to)) {
      message.deliver();
      return;
    }
    const held = this.#held.get(key(from, to)) ?? new Set();
    this.#held.set(key(from, to), held);
    held.add(message);
    this.#time.after(this.#patienceMs(), undefined, () => {
      if (held.delete(message) && this.#held.get(key(from, to)) === held) message.lose();
    });
  }

  #patienceMs(): number {
    return this.#random.between(PATIENCE_MS.least, PATIENCE_MS.most);
  }
}

const key = (from: Machine, to: Machine): string => `${from.name}>${to.name}`;

const isBetween = (connection: Connection, one: Machine, other: Machine): boolean =>
  (connection.from === one && connection.to === other) ||
  (connection.from === other && connection.to === one);
