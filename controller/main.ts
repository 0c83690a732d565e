#!/usr/bin/env node
/**
 * ferry-controller: decides, and never touches a disk. This file is the composition root.
 *
 *   store → lease → fleet → sagas resumed from their journal → gRPC → READY → auto-confirm, companions
 */

import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { Logger } from "pino";
import { type DaemonProcess, runDaemon } from "../proto/daemon.js";
import { asFault } from "../proto/fault.js";
import { createRegistry, serveMetrics } from "../proto/metrics.js";
import { Notifier } from "../proto/notifier.js";
import { createServer } from "../proto/rpc-server.js";
import { TlsSource } from "../proto/tls-source.js";
import { VERSION } from "../proto/version.js";
import type { Api } from "./api/api.js";
import type { NovaServerOptions } from "./api/nova/serve-nova.js";
import { systemClock } from "./clock.js";
import { followCompanions } from "./companions.js";
import { type ControllerConfig, readControllerConfig, storePathOf } from "./config.js";
import { Aggregates } from "./fleet/aggregates.js";
import { Fleet } from "./fleet/fleet.js";
import { GrpcAgents } from "./fleet/grpc-agents.js";
import { ServerGroups } from "./fleet/server-groups.js";
import { SilenceWatch } from "./fleet/silence-watch.js";
import { keepEvents } from "./keep-events.js";
import { controllerMetrics } from "./metrics.js";
import { Audit } from "./migration/audit.js";
import { AutoConfirm } from "./migration/auto-confirm.js";
import { EpochRaise } from "./migration/epoch-raise.js";
import { Migrations } from "./migration/migrations.js";
import { ReturnedHosts } from "./migration/returned-host.js";
import { Servers } from "./migration/servers.js";
import type { MigrationSettings } from "./migration/settings.js";
import { DriftWatch } from "./migration/watch-drift.js";
import { Policy } from "./policy/policy.js";
import { ProcessLease } from "./process-lease.js";
import type { SagaState } from "./saga/fold.js";
import type { Line } from "./saga/journal-line.js";
import { filterWarnings } from "./scheduler/filter-warnings.js";
import { HostStates } from "./scheduler/host-states.js";
import { Scheduler } from "./scheduler/scheduler.js";
import { DEFAULT_SCHEDULER_SETTINGS } from "./scheduler/settings.js";
import { controllerServices } from "./service.js";
import { readFreeze } from "./store/freeze.js";
import { listServers } from "./store/servers.js";
import { Store } from "./store/store.js";
import { systemdNotify } from "./systemd-notify.js";

const STOP_GRACE_MS = 2_000;

async function serve(config: ControllerConfig, daemon: DaemonProcess): Promise<void> {
  const { log, stopped, environment } = daemon;
  const notifier = new Notifier(environment, systemdNotify);
  const parts = await wire(config, daemon);
  await parts.migrations.adoptOrphans();
  await parts.servers.adoptOrphans();
  const listeners = await listen(config, parts, log);
  notifier.ready(stopped);
  log.info({ version: VERSION, listen: config.listen }, "serving");
  await follow(config, parts, daemon);

  notifier.stopping();
  await listeners.close();
  await parts.servers.close();
  await parts.migrations.close();
  parts.agent.close();
  await parts.lease.leave();
  await parts.store.close();
}

type Parts = Awaited<ReturnType<typeof wire>>;

/** Everything that the controller is made of; nothing runs yet, but the lease is held. */
async function wire(config: ControllerConfig, { log, crash }: DaemonProcess) {
  const tls = new TlsSource(config.tls);
  const policy = config.policy_file === undefined ? new Policy() : Policy.read(config.policy_file);
  const store = await openStore(config);
  const owner = `${config.name}/${randomUUID()}`;
  const leaseMs = config.lease_seconds * 1000;
  const lease = await ProcessLease.enter({ store, clock: systemClock, owner, leaseMs, onLost: crash });
  const fleet = new Fleet({ store, clock: systemClock });
  const agent = new GrpcAgents({ tls, addressOf: host => fleet.addressOf(host) });
  const scheduling = config.filter_scheduler ?? DEFAULT_SCHEDULER_SETTINGS;
  const scheduler = new Scheduler({
    queries: store.queries,
    hosts: new HostStates({ queries: store.queries, stateOf: host => fleet.stateOf(host) }),
    settings: scheduling,
    random: Math.random,
  });
  const deps = {
    store,
    hints: store.hints,
    fleet,
    scheduler,
    agent,
    clock: systemClock,
    random: Math.random,
    newId: randomUUID,
    settings: settingsOf(config),
    owner,
    onBug: crash,
    onLine: (migration: string, line: Line) => logLine(log, migration, line),
    onTakenUp: (migration: string, state: SagaState) => logTakenUp(log, migration, state),
  };
  const migrations = new Migrations(deps);
  const servers = new Servers(deps, migrations);
  const returned = new ReturnedHosts(deps, migrations);
  const driftWatch = new DriftWatch({
    clock: systemClock,
    audit: new Audit(deps),
    returned,
    onDrift: drift => log.warn({ drift: drift.kind, server: drift.server, host: drift.host }, drift.message),
    onTrouble: fault => log.warn({ fault }, "could not look for drift"),
  });
  return {
    ...deps,
    tls,
    policy,
    lease,
    scheduling,
    migrations,
    servers,
    returned,
    driftWatch,
    aggregates: new Aggregates({ ...deps, isAvailable: host => fleet.isAvailable(host) }),
    serverGroups: new ServerGroups(deps),
    epochRaise: new EpochRaise(deps, migrations),
  };
}

/** Opens the doors: gRPC, and metrics and REST where they are configured. */
async function listen(config: ControllerConfig, parts: Parts, log: Logger) {
  const { tls, policy, store, scheduling } = parts;
  const services = controllerServices(parts);
  for (const warning of filterWarnings(await listServers(store.queries), scheduling.enabled_filters))
    log.warn(warning);
  const server = await createServer({
    tls,
    address: config.listen,
    services,
    admit: ({ identity, path }) => policy.admit(identity, path),
    onFailure: (thrown, { path }) => log.info({ path, fault: asFault(thrown).message }, "call refused"),
  });
  tls.watch();
  const metrics = await startMetrics(config, parts);
  const rest = await startRest(config, { services, policy, store, tls, log });
  const close = async () => {
    tls.unwatch();
    await server.close(STOP_GRACE_MS);
    await rest?.close();
    await metrics?.close();
  };
  return { close };
}

/** What goes on beside the calls, until the controller is stopped. */
async function follow(config: ControllerConfig, parts: Parts, { log, stopped }: DaemonProcess) {
  const { migrations, driftWatch, store } = parts;
  const events = {
    store,
    clock: systemClock,
    kept: config.events_kept,
    onFailure: (error: unknown) =>
      log.warn({ fault: asFault(error).message }, "events could not be numbered"),
  };
  await Promise.all([
    new AutoConfirm(parts, migrations).run(stopped),
    driftWatch.run(stopped),
    new SilenceWatch({ ...parts, onSilent: host => log.warn({ host }, "host not heard") }).run(stopped),
    keepEvents(events, stopped),
    migrations.followTurns(stopped),
    store.isShared ? followCompanions({ ...parts, ...companionLog(log) }, stopped) : undefined,
  ]);
}

async function openStore(config: ControllerConfig): Promise<Store> {
  const path = storePathOf(config);
  if (path === undefined)
    return Store.open(config.store, { allowLossyFailover: config.store_allow_lossy_failover });
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
  return Store.open(path);
}

const companionLog = (log: Logger) => ({
  onAdopted: (count: number) => log.warn({ count }, "took over from another controller"),
  onFailure: (error: unknown) => log.warn({ fault: asFault(error).message }, "the store did not answer"),
});

const settingsOf = (config: ControllerConfig): MigrationSettings => ({
  autoConfirmAfterMs: config.resize_confirm_window * 1000,
  maxDowntimeMs: config.max_downtime_seconds * 1000,
  shutdownTimeoutMs: config.shutdown_timeout * 1000,
  maxAttempts: config.max_attempts,
  allowResizeToSameHost: config.allow_resize_to_same_host,
  maxConcurrent: config.max_concurrent_migrations,
  maxConcurrentPerHost: config.max_concurrent_migrations_per_host,
});

async function startMetrics(
  config: ControllerConfig,
  { store, fleet, migrations, driftWatch }: Pick<Api, "store" | "fleet" | "migrations" | "driftWatch">,
) {
  if (config.metrics_listen === undefined) return undefined;
  const registry = createRegistry("ferry-controller", VERSION);
  controllerMetrics(registry, {
    hosts: () => fleet.list(),
    liveMigrations: () => migrations.list({ live: true, limit: Number.MAX_SAFE_INTEGER }),
    endedMigrations: endedSinceMs => migrations.list({ endedSinceMs, limit: Number.MAX_SAFE_INTEGER }),
    waiting: () => migrations.waiting(),
    nowMs: () => systemClock.nowMs(),
    drifts: () => driftWatch.drifts,
    isFrozen: async () => (await readFreeze(store.queries)) !== undefined,
  });
  return serveMetrics({ registry, address: config.metrics_listen, problem: () => undefined });
}

/** Loaded only where it is wanted: a controller without REST has no HTTP framework in its memory. */
async function startRest(
  { rest }: ControllerConfig,
  parts: Pick<NovaServerOptions, "services" | "policy" | "store" | "tls" | "log">,
) {
  if (rest === undefined) return undefined;
  const { serveNova } = await import("./api/nova/serve-nova.js");
  return serveNova({ config: rest, ...parts, newId: randomUUID, nowMs: () => systemClock.nowMs() });
}

/** The story of every migration in the log; what the steps gave is only in the journal. */
function logLine(log: Logger, migration: string, line: Line): void {
  const step = "step" in line ? line.step : undefined;
  if (line.kind === "unwinding") log.warn({ migration, step, fault: line.cause.message }, "unwinding");
  else if (line.kind === "stuck") log.error({ migration, step, fault: line.fault.message }, "stuck");
  else log.info({ migration, step }, line.kind);
}

/** The one that is gone may not have told any more what it wrote last. */
function logTakenUp(log: Logger, migration: string, { phase, steps, stuck }: SagaState): void {
  const step = stuck?.step ?? steps.find(({ state }) => state === "running")?.name;
  log.info({ migration, phase, step, fault: stuck?.fault.message }, "taken up");
}

await runDaemon({
  program: "ferry-controller",
  defaultConfigPath: "/etc/ferry/controller.toml",
  readConfig: readControllerConfig,
  logFields: ({ name }) => ({ controller: name }),
  serve,
});
