/**
 * What the controller tells Prometheus, in the shape that operators know from other migration tools. Counters and histograms
 * are about migrations that have ended (countEndedMigrations); gauges are read when they are scraped.
 */

import { Gauge, type Registry } from "prom-client";
import type { Drift } from "../proto/gen/ferry/v1/controller.js";
import type { Host, Migration } from "../proto/gen/ferry/v1/model.js";
import { countEndedMigrations, type ReadEnded } from "./count-ended-migrations.js";
import type { Waiting } from "./migration/turns.js";
import { sharedLook } from "./shared-look.js";

export interface MetricSources {
  readonly hosts: () => Promise<readonly Host[]>;
  /** Not ended: on their way, stuck, or waiting for a verdict. */
  readonly liveMigrations: () => Promise<readonly Migration[]>;
  readonly endedMigrations: ReadEnded;
  /** For their turn, and why. */
  readonly waiting: () => Promise<readonly Waiting[]>;
  readonly nowMs: () => number;
  /** Of the last audit. */
  readonly drifts: () => readonly Pick<Drift, "kind">[];
  readonly isFrozen: () => Promise<boolean>;
}

export function controllerMetrics(registry: Registry, sources: MetricSources): void {
  countEndedMigrations(registry, sources.endedMigrations);
  hostMetrics([registry], sources);
  liveMetrics([registry], sources);
  queueMetrics([registry], sources);
  driftMetrics([registry], sources);
}

function driftMetrics(registers: Registry[], { drifts, isFrozen }: MetricSources): void {
  const drift = new Gauge({
    name: "ferry_drift",
    help: "What the last audit found not to be as the controller's records say, by kind",
    labelNames: ["kind"],
    registers,
    collect() {
      drift.reset();
      for (const { kind } of drifts()) drift.inc({ kind });
    },
  });
  const frozen = new Gauge({
    name: "ferry_store_frozen",
    help: "1 while everything stands still because the store is older than what the agents have seen",
    registers,
    async collect() {
      frozen.set((await isFrozen()) ? 1 : 0);
    },
  });
}

/** Whoever asks for an alarm wants a series for each reason, also while it is 0. */
const REASONS: readonly Waiting["reason"][] = ["total", "source", "target", "next"];

function queueMetrics(registers: Registry[], { waiting, nowMs }: MetricSources): void {
  const common = { registers, collect: sharedLook(() => look()) };
  const count = new Gauge({
    name: "ferry_migrations_waiting",
    help: "Migrations that wait for their turn, by where there is no room: in all, at their source, at their target; or next",
    labelNames: ["reason"],
    ...common,
  });
  const oldest = new Gauge({
    name: "ferry_migrations_waiting_oldest_seconds",
    help: "How long the one that waits longest has been waiting for its turn; 0 when none is",
    ...common,
  });
  const look = async (): Promise<void> => {
    const all = await waiting();
    for (const reason of REASONS) count.set({ reason }, all.filter(one => one.reason === reason).length);
    oldest.set(Math.max(0, ...all.map(({ queuedAtMs }) => nowMs() - queuedAtMs)) / 1000);
  };
}

function hostMetrics(registers: Registry[], { hosts, nowMs }: MetricSources): void {
  const common = { registers, collect: sharedLook(() => look()) };
  const up = new Gauge({
    name: "ferry_agent_up",
    help: "1 while the agent of a host is heard",
    labelNames: ["host"],
    ...common,
  });
  const silence = new Gauge({
    name: "ferry_agent_silence_seconds",
    help: "How long ago the agent of a host was heard last",
    labelNames: ["host"],
    ...common,
  });
  const servers = new Gauge({
    name: "ferry_host_servers",
    help: "Servers whose home is this host",
    labelNames: ["host"],
    ...common,
  });
  const capacity = new Gauge({
    name: "ferry_host_capacity",
    help: "What may be booked on a host, in the unit of its resource class",
    labelNames: ["host", "resource_class"],
    ...common,
  });
  const allocated = new Gauge({
    name: "ferry_host_allocated",
    help: "What is booked on a host, in the unit of its resource class",
    labelNames: ["host", "resource_class"],
    ...common,
  });
  const look = async (): Promise<void> => {
    const all = await hosts();
    for (const gauge of [up, silence, servers, capacity, allocated]) gauge.reset();
    for (const host of all) {
      up.set({ host: host.name }, host.state === "up" ? 1 : 0);
      silence.set({ host: host.name }, Math.max(0, nowMs() - host.lastHeartbeatMs) / 1000);
      servers.set({ host: host.name }, host.servers);
      for (const { resourceClass, total, reserved, allocationRatio, used } of host.inventories) {
        const labels = { host: host.name, resource_class: resourceClass };
        capacity.set(labels, (total - reserved) * allocationRatio);
        allocated.set(labels, used);
      }
    }
  };
}

function liveMetrics(registers: Registry[], { liveMigrations, nowMs }: MetricSources): void {
  const common = { registers, collect: sharedLook(() => look()) };
  const live = new Gauge({
    name: "ferry_migrations_live",
    help: "Migrations that have not ended, by type and status",
    labelNames: ["type", "status"],
    ...common,
  });
  const inStep = new Gauge({
    name: "ferry_migrations_in_step",
    help: "Migrations under way, by step",
    labelNames: ["step"],
    ...common,
  });
  const stuck = new Gauge({
    name: "ferry_migrations_stuck",
    help: "Migrations that wait for a person",
    ...common,
  });
  const verifyPending = new Gauge({
    name: "ferry_verify_pending_seconds",
    help: "How long the oldest migration has been waiting for confirm or revert; 0 when none is",
    ...common,
  });
  const look = async (): Promise<void> => {
    const migrations = await liveMigrations();
    for (const gauge of [live, inStep]) gauge.reset();
    for (const { type, status, step } of migrations) {
      live.inc({ type, status });
      if (step !== "") inStep.inc({ step });
    }
    stuck.set(migrations.filter(({ status }) => status === "stuck").length);
    verifyPending.set(oldestVerdictSeconds(migrations, nowMs()));
  };
}

function oldestVerdictSeconds(migrations: readonly Migration[], nowMs: number): number {
  const waiting = migrations.filter(({ status }) => status === "finished");
  return Math.max(0, ...waiting.map(({ updatedAtMs }) => nowMs - updatedAtMs)) / 1000;
}
