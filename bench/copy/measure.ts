/**
 * Runs the rows against each other: all of them once, then all of them again, so that what else happens on the machine
 * meets every row. Each copy starts with an empty target and freshly started programs, and is compared byte by byte.
 * A copy that was interrupted, or its comparison, is no sample: it was not finished, which says nothing about it.
 */

import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { asFault } from "../../proto/fault.js";
import { areEqual } from "./compare.js";
import { CpuAccount } from "./cpu-account.js";
import type { DataSet } from "./data-sets.js";
import type { Network } from "./network.js";
import type { Row } from "./rows/row.js";
import { Stage } from "./stage.js";
import { warmMemory } from "./warm-memory.js";

export interface Subject {
  readonly source: string;
  readonly sizeBytes: number;
  /** What the source really occupies: everything is told per GiB of this. */
  readonly dataBytes: number;
  readonly prepareTarget?: DataSet["prepareTarget"];
}

export interface Sample {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly isEqual: boolean;
  readonly note: string | undefined;
}

export interface MeasureOptions {
  readonly rows: readonly Row[];
  readonly runs: number;
  readonly subject: Subject;
  readonly folder: string;
  readonly network: Network;
  readonly signal: AbortSignal;
  readonly onSample: (row: Row, run: number, sample: Sample) => void;
  readonly onInterrupted: (row: Row, run: number) => void;
}

/** A signal to a whole group of processes may reach the programs before it reaches this one. */
const LATE_SIGNAL_MS = 200;

export type Samples = ReadonlyMap<Row, readonly Sample[]>;

/** Ends early when it is interrupted, with the samples that were complete. */
export async function measure(options: MeasureOptions): Promise<Samples> {
  const samples = new Map(options.rows.map(row => [row, [] as Sample[]]));
  for (let run = 1; run <= options.runs; run += 1) {
    for (const [row, ofRow] of samples) {
      const sample = await sampleOf(row, run, options);
      if (sample === undefined) return samples;
      ofRow.push(sample);
      options.onSample(row, run, sample);
    }
  }
  return samples;
}

/** Nothing when it was interrupted: programs that the same signal ended failed for no other reason. */
async function sampleOf(row: Row, run: number, options: MeasureOptions): Promise<Sample | undefined> {
  try {
    return await measureOnce(row, options);
  } catch (thrown) {
    await pause(LATE_SIGNAL_MS, undefined, { signal: options.signal }).catch(() => {});
    if (!options.signal.aborted) throw asFault(thrown).during(`${row.name}, run ${run}`);
    options.onInterrupted(row, run);
    return undefined;
  }
}

async function measureOnce(row: Row, options: MeasureOptions): Promise<Sample> {
  const { subject, folder, signal } = options;
  signal.throwIfAborted();
  const target = join(folder, "target");
  await warmMemory(folder, subject.dataBytes);
  const stage = new Stage({
    folder: join(folder, "stage"),
    source: subject.source,
    target,
    sizeBytes: subject.sizeBytes,
    network: options.network,
    account: CpuAccount.open(`ferry-bench-${process.pid}`),
    signal,
  });
  try {
    await subject.prepareTarget?.(subject.source, target);
    const cost = await orAborted(timed(row, stage), signal);
    return { ...cost, isEqual: await areEqual(subject.source, target, signal) };
  } finally {
    await stage.close();
    rmSync(target, { force: true });
  }
}

/** Whatever `work` waits for: closing the stage ends it. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function timed(row: Row, stage: Stage): Promise<Omit<Sample, "isEqual">> {
  const prepared = await row.prepare(stage);
  const cpuBefore = stage.account.cpuSeconds;
  const startedMs = performance.now();
  const note = await prepared.copy();
  const wallSeconds = (performance.now() - startedMs) / 1000;
  await prepared.settled?.();
  return { wallSeconds, cpuSeconds: stage.account.cpuSeconds - cpuBefore, note };
}
