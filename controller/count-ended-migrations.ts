/**
 * Counts every migration that has ended, once: how it ended, how long its guest was down, what was copied.
 *
 * What ended before this process started counts too: its first look reads the store's whole history, each later one only
 * what is new. So the counters go on where they were when the controller is restarted.
 */

import { Counter, Histogram, type Registry } from "prom-client";
import type { Migration } from "../proto/gen/ferry/v1/model.js";
import { sharedLook } from "./shared-look.js";

/** Reads the migrations that ended then or later. */
export type ReadEnded = (sinceMs: number) => Promise<readonly Migration[]>;

/** A wall clock that was set back by less than this hides no migration. */
const OVERLAP_MS = 3_600_000;
const SECONDS_BUCKETS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14_400];
/** The last step before the verify window: the guest runs on its target. */
const ARRIVED = "release-target";

export function countEndedMigrations(registry: Registry, readEnded: ReadEnded): void {
  let newestMs = 0;
  let counted: ReadonlySet<string> = new Set();
  const countNew = async (): Promise<void> => {
    const ended = await readEnded(newestMs - OVERLAP_MS);
    for (const migration of ended) if (!counted.has(migration.id)) count(migration, metrics);
    counted = new Set(ended.map(({ id }) => id));
    for (const { endedAtMs } of ended) newestMs = Math.max(newestMs, endedAtMs);
  };
  // Shared also keeps two scrapes at once from counting twice.
  const metrics = createMetrics({ registers: [registry], collect: sharedLook(countNew) });
}

function count(migration: Migration, metrics: ReturnType<typeof createMetrics>): void {
  const { type, status, downtimeMs, receipt, steps } = migration;
  const { total, durations, downtimes, bytes, stepDurations } = metrics;
  total.inc({ type, status });
  durations.observe({ type, status }, secondsUnderWay(migration));
  if (downtimeMs > 0) downtimes.observe({ type }, downtimeMs / 1000);
  for (const { sizeBytes, dataBytes } of receipt.filter(({ mode }) => mode === "copied")) {
    bytes.inc({ kind: "data" }, dataBytes);
    bytes.inc({ kind: "zero" }, Math.max(0, sizeBytes - dataBytes));
  }
  for (const { name, state, startedAtMs, endedAtMs } of steps) {
    if (state === "done") stepDurations.observe({ step: name }, (endedAtMs - startedAtMs) / 1000);
  }
}

/** From the request until the guest ran on its target; until the end where it did not stay. The verify window is no work. */
function secondsUnderWay({ createdAtMs, endedAtMs, steps }: Migration): number {
  const arrivedAtMs =
    steps.find(({ name, state }) => name === ARRIVED && state === "done")?.endedAtMs ?? endedAtMs;
  return Math.max(0, arrivedAtMs - createdAtMs) / 1000;
}

interface Common {
  readonly registers: Registry[];
  readonly collect: () => Promise<void>;
}

function createMetrics(common: Common) {
  const total = new Counter({
    name: "ferry_migrations_total",
    help: "Migrations that have ended, by type and final status",
    labelNames: ["type", "status"],
    ...common,
  });
  const durations = new Histogram({
    name: "ferry_migration_duration_seconds",
    help: "From the request until the guest ran on its target, or until the end if it did not stay there",
    labelNames: ["type", "status"],
    buckets: SECONDS_BUCKETS,
    ...common,
  });
  const downtimes = new Histogram({
    name: "ferry_migration_downtime_seconds",
    help: "From the stop of the guest until it ran on its target",
    labelNames: ["type"],
    buckets: SECONDS_BUCKETS,
    ...common,
  });
  const stepDurations = new Histogram({
    name: "ferry_migration_step_seconds",
    help: "How long each step took that was done",
    labelNames: ["step"],
    buckets: SECONDS_BUCKETS,
    ...common,
  });
  const bytes = new Counter({
    name: "ferry_migration_bytes_total",
    help: "Bytes of disks that were copied and read back: data was sent, zero did not have to be",
    labelNames: ["kind"],
    ...common,
  });
  return { total, durations, downtimes, stepDurations, bytes };
}
