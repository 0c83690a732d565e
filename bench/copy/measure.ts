/**
 * Runs the rows against each other: all of them once, then all of them again, so that what else happens on the machine
 * meets every row. Each copy starts with an empty target and freshly started programs, and is compared byte by byte.
 */

import { execFileSync } from "node:child_process";
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { asFault } from "../../proto/fault.js";
import { CpuAccount } from "./cpu-account.js";
import type { DataSet } from "./data-sets.js";
import type { Network } from "./network.js";
import type { Row } from "./rows/row.js";
import { Stage } from "./stage.js";

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
}

export type Samples = ReadonlyMap<Row, readonly Sample[]>;

export async function measure(options: MeasureOptions): Promise<Samples> {
  const samples = new Map(options.rows.map(row => [row, [] as Sample[]]));
  for (let run = 1; run <= options.runs; run += 1) {
    for (const [row, ofRow] of samples) {
      const sample = await measureOnce(row, options).catch((thrown: unknown) => {
        throw asFault(thrown).during(`${row.name}, run ${run}`);
      });
      ofRow.push(sample);
      options.onSample(row, run, sample);
    }
  }
  return samples;
}

async function measureOnce(row: Row, options: MeasureOptions): Promise<Sample> {
  const { subject, folder } = options;
  const target = join(folder, "target");
  const stage = new Stage({
    folder: join(folder, "stage"),
    source: subject.source,
    target,
    sizeBytes: subject.sizeBytes,
    network: options.network,
    account: CpuAccount.open(`ferry-bench-${process.pid}`),
    signal: options.signal,
  });
  try {
    await subject.prepareTarget?.(subject.source, target);
    const cost = await orAborted(timed(row, stage), options.signal);
    return { ...cost, isEqual: areEqual(subject.source, target) };
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

/** By a tool that shares no code with anything measured here. */
function areEqual(one: string, other: string): boolean {
  if (statSync(one).size !== statSync(other).size) return false;
  try {
    execFileSync("cmp", ["--silent", one, other], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
