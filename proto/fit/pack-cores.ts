/**
 * Dedicated CPUs for the vCPUs of one guest cell, by thread policy:
 *
 *   prefer   whole cores first; then whatever is free
 *   require  sibling threads of the same cores; a host without such threads has none to give
 *   isolate  a wholly free core for each vCPU, whose other threads nobody gets
 *
 * `canPack` only counts; it and `packCores` agree always.
 */

import type { FreeCore } from "../gen/ferry/v1/host.js";
import type { ThreadPolicy } from "./guest-hardware.js";

export interface Demand {
  /** vCPUs. */
  readonly count: number;
  /** CPUs beside them, for emulator threads. */
  readonly extra: number;
  readonly policy: ThreadPolicy;
}

export interface Packing {
  /** As many as vCPUs. */
  readonly pins: readonly number[];
  readonly extra: readonly number[];
  /** Threads that are kept idle beside them. */
  readonly idle: readonly number[];
}

export function canPack(cores: readonly FreeCore[], { count, extra, policy }: Demand): boolean {
  if (count + extra === 0) return true;
  const { whole, free, withThreads } = countsOf(cores);
  if (policy === "isolate") return whole >= count + extra;
  if (free < count + extra) return false;
  return policy === "prefer" || count === 0 || threadsPerCore(withThreads, count) !== undefined;
}

export function packCores(cores: readonly FreeCore[], demand: Demand): Packing | undefined {
  if (!canPack(cores, demand)) return undefined;
  const { count, extra, policy } = demand;
  if (policy === "isolate") return isolate(cores, count, extra);
  const pins = policy === "require" ? siblings(cores, count) : anywhere(cores, count);
  const rest = cores.map(core => ({ ...core, cpus: core.cpus.filter(cpu => !pins.includes(cpu)) }));
  return { pins, extra: anywhere(rest, extra), idle: [] };
}

const isWhole = ({ cpus, threads }: FreeCore): boolean => cpus.length === threads;

interface Counts {
  readonly free: number;
  readonly whole: number;
  /** By number of threads: cores with at least so many free. */
  readonly withThreads: readonly number[];
}

/** A host is asked many times before its cores change. */
const known = new WeakMap<readonly FreeCore[], Counts>();

function countsOf(cores: readonly FreeCore[]): Counts {
  const before = known.get(cores);
  if (before !== undefined) return before;
  const withThreads: number[] = [];
  for (const { cpus } of cores)
    for (let threads = 0; threads <= cpus.length; threads++)
      withThreads[threads] = (withThreads[threads] ?? 0) + 1;
  const counts = {
    free: cores.reduce((sum, { cpus }) => sum + cpus.length, 0),
    whole: cores.filter(isWhole).length,
    withThreads,
  };
  known.set(cores, counts);
  return counts;
}

/** As many threads of each core as go, at least two; the last core may be left with some. */
function threadsPerCore(withThreads: readonly number[], count: number): number | undefined {
  for (let threads = withThreads.length - 1; threads >= 2; threads--)
    if ((withThreads[threads] ?? 0) * threads >= count) return threads;
  return undefined;
}

function siblings(cores: readonly FreeCore[], count: number): number[] {
  const threads = threadsPerCore(countsOf(cores).withThreads, count) ?? 0;
  // Cores with just that many are used up first, so that larger ones stay whole.
  const usable = cores
    .filter(({ cpus }) => cpus.length >= threads)
    .toSorted((one, other) => one.cpus.length - other.cpus.length || first(one) - first(other));
  return usable.flatMap(({ cpus }) => cpus.slice(0, threads)).slice(0, count);
}

function isolate(cores: readonly FreeCore[], count: number, extra: number): Packing {
  const chosen = cores
    .filter(isWhole)
    .toSorted((one, other) => one.cpus.length - other.cpus.length || first(one) - first(other))
    .slice(0, count + extra);
  const used = chosen.map(first);
  return {
    pins: used.slice(0, count),
    extra: used.slice(count),
    idle: chosen.flatMap(({ cpus }) => cpus.slice(1)),
  };
}

/** The largest core that is used up by it each time; the remainder comes out of the smallest. */
function anywhere(cores: readonly FreeCore[], count: number): number[] {
  const taken: number[] = [];
  const left = cores
    .filter(({ cpus }) => cpus.length > 0)
    .toSorted((one, other) => other.cpus.length - one.cpus.length || first(one) - first(other));
  while (taken.length < count) {
    const missing = count - taken.length;
    const index = left.findIndex(({ cpus }) => cpus.length <= missing);
    const [core] = left.splice(index < 0 ? left.length - 1 : index, 1);
    if (core === undefined) break;
    taken.push(...core.cpus.slice(0, missing));
  }
  return taken;
}

const first = ({ cpus }: FreeCore): number => cpus[0] ?? Number.MAX_SAFE_INTEGER;
