/** What the controller counts, for Prometheus, in the shape that operators know from other migration tools. */

import { Gauge, type Registry } from "prom-client";
import type { Fleet } from "./fleet/fleet.js";
import type { Migrations } from "./migration/operations.js";

/** Newest migrations that are looked at per scrape. */
const LOOK_BACK = 1000;

export function controllerMetrics(registry: Registry, fleet: Fleet, migrations: Migrations): void {
  const registers = [registry];
  const agents: Gauge = new Gauge({
    name: "ferry_agent_up",
    help: "1 while the agent of a host is heard",
    labelNames: ["host"],
    registers,
    collect: async () => {
      agents.reset();
      for (const { name, state } of await fleet.list()) agents.set({ host: name }, state === "up" ? 1 : 0);
    },
  });
  const byStatus = new Gauge({
    name: "ferry_migrations",
    help: "Migrations by type and status",
    labelNames: ["type", "status"],
    registers,
  });
  const inStep = new Gauge({
    name: "ferry_migrations_in_step",
    help: "Open migrations by step",
    labelNames: ["step"],
    registers,
  });
  const stuck = new Gauge({
    name: "ferry_migrations_stuck",
    help: "Migrations that wait for a person",
    registers,
  });
  const bytes = new Gauge({
    name: "ferry_migration_bytes",
    help: "Bytes copied by the migrations counted",
    labelNames: ["kind"],
    registers,
  });
  const downtime: Gauge = new Gauge({
    name: "ferry_migration_last_downtime_seconds",
    help: "Seconds that the guest of the newest finished migration was down",
    registers,
    collect: async () => {
      for (const gauge of [byStatus, inStep, bytes]) gauge.reset();
      const all = await migrations.list({ limit: LOOK_BACK });
      for (const { type, status } of all) byStatus.inc({ type, status });
      for (const { step } of all.filter(migration => migration.endedAtMs === 0 && migration.step !== ""))
        inStep.inc({ step });
      stuck.set(all.filter(({ status }) => status === "stuck").length);
      for (const { progress } of all) {
        bytes.inc({ kind: "data" }, progress?.doneBytes ?? 0);
        bytes.inc({ kind: "zero" }, progress?.skippedBytes ?? 0);
      }
      downtime.set((all.find(({ downtimeMs }) => downtimeMs > 0)?.downtimeMs ?? 0) / 1000);
    },
  });
}
