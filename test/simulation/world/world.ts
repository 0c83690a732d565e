/**
 * A simulated fleet: machines, network and time, all from one seed, and what went wrong in it.
 *
 * `breaches` are broken promises, `bugs` what a daemon itself called one. Either makes the seed a failure.
 */

import type { LifecycleEvent } from "../../../agent/os/hypervisor.js";
import { Guests } from "./guest.js";
import { Machine } from "./machine.js";
import { Network } from "./network.js";
import { ProcessDied } from "./process.js";
import { Random } from "./random.js";
import { VirtualTime } from "./virtual-time.js";

export class World {
  readonly seed: number;
  readonly random: Random;
  readonly time = new VirtualTime();
  readonly network: Network;
  readonly guests: Guests;
  readonly machines = new Map<string, Machine>();
  readonly breaches: string[] = [];
  readonly bugs: string[] = [];
  /** What happened, a line each; kept only when somebody will read it. */
  readonly transcript: string[] = [];
  readonly #keepsTranscript: boolean;

  constructor(seed: number, { transcript = false } = {}) {
    this.seed = seed;
    this.#keepsTranscript = transcript;
    this.random = new Random(seed);
    this.network = new Network(this.time, this.random.fork("network"));
    this.guests = new Guests(this);
  }

  add(name: string): Machine {
    const machine = new Machine(this, name);
    this.machines.set(name, machine);
    return machine;
  }

  machine(name: string): Machine {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new Error(`there is no machine ${name}`);
    return machine;
  }

  say(who: string, text: string): void {
    if (!this.#keepsTranscript) return;
    const seconds = (this.time.nowMs / 1000).toFixed(3).padStart(10);
    this.transcript.push(`${seconds}  ${who.padEnd(11)} ${text}`);
  }

  breach(text: string): void {
    if (this.breaches.at(-1) === text) return;
    this.breaches.push(text);
    this.say("BREACH", text);
  }

  /** Nothing of it goes on, and its memory goes. */
  close(): void {
    for (const machine of this.machines.values()) machine.close();
  }

  bug(machine: Machine, program: string, error: unknown): void {
    if (error instanceof ProcessDied) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.bugs.push(`${program} on ${machine.name}: ${text}`);
    this.say("BUG", `${program} on ${machine.name}: ${text}`);
  }

  /** A daemon that the world did not let start, or that gave up. */
  onDaemonFailure(_machine: Machine, _program: string, _error: unknown): void {}

  onLifecycle(machine: Machine, _uuid: string, name: string, event: LifecycleEvent): void {
    this.say(machine.name, `libvirt: ${name} ${event}`);
  }

  /** A daemon's log goes into the transcript. */
  logger(machine: Machine, program: string) {
    const line = (level: string) => (fields: unknown, message?: string) => {
      if (!this.#keepsTranscript) return;
      const text = typeof fields === "string" ? fields : `${message ?? ""} ${JSON.stringify(fields)}`;
      this.say(
        machine.name,
        `${program.replace("ferry-", "")}: ${level === "info" ? "" : `${level}: `}${text}`,
      );
    };
    const log = { info: line("info"), warn: line("warn"), error: line("error"), fatal: line("fatal") };
    const nothing = () => {};
    return { ...log, debug: nothing, trace: nothing, child: () => log, level: "info" } as never;
  }
}
