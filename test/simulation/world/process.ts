/**
 * A process of a simulated machine: what runs in its name ends with it, at the very next thing that it would do to
 * the world.
 *
 *     running ──freeze──▶ frozen ──thaw──▶ running
 *        └────────┴──────kill────────▶ dead
 *
 * The code of a dead process cannot be stopped, only kept from doing anything: each edge asks `step` first. What
 * would block for an answer then never gets one; what is synchronous throws `ProcessDied`, and whoever catches that
 * finds every other edge dead too.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import type { OpenFile } from "./disk.js";
import type { Machine } from "./machine.js";

export class ProcessDied extends Error {
  constructor() {
    super("this process is dead");
  }
}

export const context = new AsyncLocalStorage<Process>();

/** Whose code is running. */
export function currentProcess(): Process {
  const process = context.getStore();
  if (process === undefined) throw new Error("no process of the simulation is running this code");
  return process;
}

export const never = (): Promise<never> => new Promise(() => {});

export class Process {
  readonly machine: Machine;
  readonly program: string;
  readonly pid: number;
  state: "running" | "frozen" | "dead" = "running";
  readonly descriptors = new Map<number, OpenFile>();
  /** Told when it ends: connections break, files are closed. */
  readonly onDeath = new Set<() => void>();
  /** So far. */
  steps = 0;
  #deferred: (() => void)[] = [];
  #stepsLeft = Number.POSITIVE_INFINITY;
  #atLastStep: () => void = () => {};
  #nextDescriptor = 10;

  constructor(machine: Machine, program: string, pid: number) {
    this.machine = machine;
    this.program = program;
    this.pid = pid;
  }

  /** Runs in this process's name: now, when it thaws, or never. */
  enter(body: () => void): void {
    if (this.state === "dead") return;
    if (this.state === "frozen") this.#deferred.push(body);
    else context.run(this, () => this.#attempt(body));
  }

  /** As Node ends a process for what nobody caught. */
  #attempt(body: () => void): void {
    try {
      body();
    } catch (error) {
      this.machine.uncaught(this, error);
    }
  }

  /** `end` happens at the edge that this many steps lead to, before that has an effect. */
  endAfter(steps: number, end: () => void): void {
    this.#stepsLeft = steps;
    this.#atLastStep = end;
  }

  /** What was to come after some steps no longer does. */
  spare(): void {
    this.#stepsLeft = Number.POSITIVE_INFINITY;
  }

  /** Before anything is done to the world. False: nothing may be done any more. */
  step(): boolean {
    if (this.state === "dead") return false;
    this.steps += 1;
    if (--this.#stepsLeft >= 0) return true;
    this.#stepsLeft = Number.POSITIVE_INFINITY;
    this.#atLastStep();
    return this.state !== ("dead" as string);
  }

  freeze(): void {
    if (this.state === "running") this.state = "frozen";
  }

  thaw(): void {
    if (this.state !== "frozen") return;
    this.state = "running";
    const { time } = this.machine.world;
    for (const body of this.#deferred) time.after(0, this, body);
    this.#deferred = [];
  }

  kill(): void {
    if (this.state === "dead") return;
    this.state = "dead";
    for (const file of this.descriptors.values()) file.close();
    this.descriptors.clear();
    for (const told of this.onDeath) told();
    this.onDeath.clear();
    this.#deferred = [];
  }

  describe(file: OpenFile): number {
    const descriptor = this.#nextDescriptor++;
    this.descriptors.set(descriptor, file);
    return descriptor;
  }
}

/** For what answers at once. */
export function stepNow(): Process {
  const process = currentProcess();
  if (!process.step()) throw new ProcessDied();
  return process;
}

/** For what is waited for: never returns in a dead process; on a slow machine it takes its time. */
export async function step(): Promise<Process> {
  const process = currentProcess();
  if (!process.step()) await never();
  const delayMs = process.machine.stepDelayMs();
  if (delayMs > 0) {
    await process.machine.world.time.pause(delayMs, process);
    if (!process.step()) await never();
  }
  return process;
}
