import { Registry } from "prom-client";
import { beforeEach, describe, expect, it } from "vitest";
import { controllerMetrics } from "../../../controller/metrics.js";
import type { Waiting } from "../../../controller/migration/turns.js";
import { Host, Migration } from "../../../proto/gen/ferry/v1/model.js";

const MINUTE_MS = 60_000;

const ended = (id: string, endedAtMs: number, changes: Partial<Migration> = {}): Migration =>
  Migration.fromPartial({
    id,
    type: "migration",
    status: "confirmed",
    createdAtMs: 1000,
    endedAtMs,
    downtimeMs: 4000,
    progress: { doneBytes: 1000, skippedBytes: 300 },
    receipt: [
      { id: "vda/0", mode: "copied", sizeBytes: 1000, dataBytes: 700 },
      { id: "vda/1", mode: "present", sizeBytes: 5000, dataBytes: 0 },
    ],
    steps: [
      { name: "copy-disks", state: "done", startedAtMs: 2000, endedAtMs: 5000 },
      { name: "release-target", state: "done", startedAtMs: 5000, endedAtMs: 9000 },
    ],
    ...changes,
  });

let history: Migration[];
let live: Migration[];
let queue: Waiting[];
let registry: Registry;
/** How the store was asked, each time. */
let looks: number[];

/** The lines of one metric as Prometheus would scrape them. */
async function scrape(name: string): Promise<string[]> {
  const lines = (await registry.metrics()).split("\n");
  return lines.filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

beforeEach(() => {
  [history, live, queue, looks] = [[], [], [], []];
  registry = new Registry();
  controllerMetrics(registry, {
    hosts: async () => [
      Host.fromPartial({
        name: "h1",
        state: "up",
        servers: 2,
        inventories: [{ resourceClass: "VCPU", total: 8, reserved: 2, allocationRatio: 4, used: 3 }],
      }),
      Host.fromPartial({ name: "h2", state: "down", lastHeartbeatMs: 9 * MINUTE_MS }),
    ],
    liveMigrations: async () => live,
    endedMigrations: async sinceMs => {
      looks.push(sinceMs);
      return history.filter(({ endedAtMs }) => endedAtMs >= sinceMs);
    },
    waiting: async () => queue,
    nowMs: () => 10 * MINUTE_MS,
    drifts: () => [],
    isFrozen: async () => false,
  });
});

describe("a scrape", () => {
  it("shows what it has just read, in the first scrape as in every other", async () => {
    history = [ended("a", 90_000)];
    const text = await registry.metrics();
    expect(text).toContain('ferry_migrations_total{type="migration",status="confirmed"} 1');
    expect(text).toContain('ferry_migration_bytes_total{kind="data"} 700');
    expect(text).toContain('ferry_agent_up{host="h2"} 0');
    expect(text).toContain('ferry_agent_silence_seconds{host="h2"} 60');
  });

  it("reads the store once for all the metrics that come from it", async () => {
    await registry.metrics();
    expect(looks).toHaveLength(1);
  });

  it("says how much may be booked on a host, and how much is", async () => {
    expect(await scrape("ferry_host_capacity")).toEqual([
      'ferry_host_capacity{host="h1",resource_class="VCPU"} 24',
    ]);
    expect(await scrape("ferry_host_allocated")).toEqual([
      'ferry_host_allocated{host="h1",resource_class="VCPU"} 3',
    ]);
    expect(await scrape("ferry_host_servers")).toContain('ferry_host_servers{host="h1"} 2');
  });
});

describe("ended migrations", () => {
  it("are counted once, however often they are seen, and by two scrapes at once", async () => {
    history = [ended("a", 90_000), ended("b", 95_000, { status: "reverted" })];
    await Promise.all([registry.metrics(), registry.metrics()]);
    history.push(ended("c", 95_000));
    await registry.metrics();
    expect(await scrape("ferry_migrations_total")).toEqual([
      'ferry_migrations_total{type="migration",status="confirmed"} 2',
      'ferry_migrations_total{type="migration",status="reverted"} 1',
    ]);
    expect(await scrape("ferry_migration_bytes_total")).toContain(
      'ferry_migration_bytes_total{kind="zero"} 900',
    );
  });

  it("are counted although the clock was set back meanwhile", async () => {
    history = [ended("a", 20 * MINUTE_MS)];
    await registry.metrics();
    history.push(ended("b", 10 * MINUTE_MS));
    expect(await scrape("ferry_migrations_total")).toEqual([
      'ferry_migrations_total{type="migration",status="confirmed"} 2',
    ]);
  });

  it("took until their guest ran on its target, however long the verify window was", async () => {
    history = [ended("a", 900_000)];
    const labels = 'type="migration",status="confirmed"';
    expect(await scrape("ferry_migration_duration_seconds_sum")).toEqual([
      `ferry_migration_duration_seconds_sum{${labels}} 8`,
    ]);
    expect(await scrape("ferry_migration_downtime_seconds_sum")).toEqual([
      'ferry_migration_downtime_seconds_sum{type="migration"} 4',
    ]);
    expect(await scrape("ferry_migration_step_seconds_sum")).toContain(
      'ferry_migration_step_seconds_sum{step="copy-disks"} 3',
    );
  });

  it("that never arrived took until their end, and their guest has no downtime to tell", async () => {
    history = [ended("a", 31_000, { status: "error", steps: [], downtimeMs: 0 })];
    expect(await scrape("ferry_migration_duration_seconds_sum")).toEqual([
      'ferry_migration_duration_seconds_sum{type="migration",status="error"} 30',
    ]);
    expect(await scrape("ferry_migration_downtime_seconds_count")).toEqual([]);
  });
});

describe("migrations that wait for their turn", () => {
  it("are counted by what they wait for, and the oldest is told", async () => {
    queue = [
      { reason: "target", queuedAtMs: 8 * MINUTE_MS },
      { reason: "total", queuedAtMs: 7 * MINUTE_MS },
      { reason: "target", queuedAtMs: 9 * MINUTE_MS },
    ];
    expect(await scrape("ferry_migrations_waiting")).toEqual([
      'ferry_migrations_waiting{reason="total"} 1',
      'ferry_migrations_waiting{reason="source"} 0',
      'ferry_migrations_waiting{reason="target"} 2',
      'ferry_migrations_waiting{reason="next"} 0',
    ]);
    expect(await scrape("ferry_migrations_waiting_oldest_seconds")).toEqual([
      "ferry_migrations_waiting_oldest_seconds 180",
    ]);
    queue = [];
    expect(await scrape("ferry_migrations_waiting_oldest_seconds")).toEqual([
      "ferry_migrations_waiting_oldest_seconds 0",
    ]);
  });
});

describe("migrations that have not ended", () => {
  it("are shown by status and step, and are gone when they are over", async () => {
    live = [
      Migration.fromPartial({ type: "migration", status: "migrating", step: "copy-disks" }),
      Migration.fromPartial({ type: "migration", status: "stuck", step: "create-target" }),
      Migration.fromPartial({ type: "migration", status: "finished", updatedAtMs: 8 * MINUTE_MS }),
    ];
    expect(await scrape("ferry_migrations_in_step")).toEqual([
      'ferry_migrations_in_step{step="copy-disks"} 1',
      'ferry_migrations_in_step{step="create-target"} 1',
    ]);
    expect(await scrape("ferry_migrations_stuck")).toEqual(["ferry_migrations_stuck 1"]);
    expect(await scrape("ferry_verify_pending_seconds")).toEqual(["ferry_verify_pending_seconds 120"]);
    live = [];
    expect(await scrape("ferry_migrations_live")).toEqual([]);
    expect(await scrape("ferry_verify_pending_seconds")).toEqual(["ferry_verify_pending_seconds 0"]);
  });
});
