#!/usr/bin/env node
/**
 * ferry-agent: one per host. This file is the composition root: it reads the configuration, opens the edges in the
 * order in which they protect each other, and serves until it is told to stop.
 *
 *   journal → deny files rebuilt → hook proven → transfer port → gRPC → READY → heartbeats
 */

import { mkdirSync } from "node:fs";
import type { Logger } from "pino";
import { type DaemonProcess, runDaemon } from "../proto/daemon.js";
import { asFault } from "../proto/fault.js";
import type { HostDescription } from "../proto/gen/ferry/v1/host.js";
import { createRegistry, serveMetrics } from "../proto/metrics.js";
import { Notifier } from "../proto/notifier.js";
import { createClient } from "../proto/rpc-client.js";
import { createServer } from "../proto/rpc-server.js";
import { TlsSource } from "../proto/tls-source.js";
import { VERSION } from "../proto/version.js";
import { type AgentConfig, readAgentConfig } from "./config.js";
import { dispatchTo } from "./dispatch.js";
import { denialOf, type FenceRecord, isDenied } from "./fence/fence-record.js";
import { guestFiles, rebuildDenials } from "./fence/guest-file.js";
import { Quarantine } from "./fence/quarantine.js";
import { clearStartTokens } from "./fence/start-token.js";
import { beat } from "./heartbeat.js";
import { Hook } from "./hook.js";
import { hostHardware } from "./host-hardware.js";
import { installationFacts } from "./installation.js";
import { readInventories } from "./inventories.js";
import { Documents } from "./journal/documents.js";
import { FenceRecords } from "./journal/fence-records.js";
import { Guests } from "./journal/guests.js";
import { Journal } from "./journal/journal.js";
import { OperationRows } from "./journal/operations.js";
import { logged } from "./log-operations.js";
import { agentMetrics } from "./metrics.js";
import { Operations } from "./operations.js";
import { nativeEngine } from "./os/engine.js";
import { LibvirtHypervisor } from "./os/libvirt-hypervisor.js";
import { nativeFiles } from "./os/native-files.js";
import { describeHost } from "./probe/host.js";
import { SpaceProbe } from "./probe/space.js";
import { readSystemOnce } from "./probe/system.js";
import { seldom } from "./seldom.js";
import { admitControllers, agentService } from "./service.js";
import { TransferListener } from "./transfer/target.js";
import { admitProbes } from "./verbs/admit-probes.js";
import { readFreeHardware } from "./verbs/held-hardware.js";
import { removeTrials } from "./verbs/trial-definition.js";
import type { World } from "./verbs/verb.js";
import { createWorld, readBootId } from "./world.js";

const LIBVIRT = { controlLimitMs: 15_000, longLimitMs: 120_000, keepAlive: { intervalSeconds: 5, count: 3 } };
const STOP_GRACE_MS = 2_000;

async function serve(config: AgentConfig, { log, stopped, environment }: DaemonProcess): Promise<void> {
  for (const folder of [config.state_dir, config.run_dir])
    mkdirSync(folder, { recursive: true, mode: 0o755 });
  const files = nativeFiles();
  const notifier = new Notifier(environment, files.notify);
  const tls = new TlsSource(config.tls);
  const journal = Journal.open(config.state_dir);
  await denyAgain(config, journal, log);
  const quarantine = new Quarantine(journal, config.state_dir);
  await quarantine.rebuild();
  const hypervisor = await LibvirtHypervisor.open({ uri: config.libvirt_uri, ...LIBVIRT });
  const hook = await Hook.open(config, {
    hypervisor,
    guestFiles: guestFiles(config.state_dir),
    clock: Date.now,
    log,
  });
  const engine = nativeEngine();
  const transfer = new TransferListener({
    engine,
    tls: () => transferTls(tls),
    files,
    clock: { nowMs: Date.now },
    log,
  });
  const bootId = await readBootId();
  const world = createWorld({ config, journal, hypervisor, files, engine, transfer, tls, hook, log, bootId });
  await removeTrials(world);
  hypervisor.onConnection(state => {
    const missed = (error: unknown) => log.warn({ fault: asFault(error).message }, "trials were left behind");
    if (state === "restored") removeTrials(world).catch(missed);
  });
  admitProbes(world);
  await transfer.listen(config.migration_address, config.data_port);

  const operations = new Operations({
    journal,
    rows: new OperationRows(journal, Date.now),
    guests: world.guests,
    documents: world.documents,
    dispatch: logged(dispatchTo(world), log),
    monotonicMs: world.monotonicMs,
  });
  const describe = describer(world);
  const server = await createServer({
    tls,
    address: config.listen,
    admit: admitControllers,
    services: [
      agentService({
        world,
        operations,
        fences: new FenceRecords(world.documents),
        describeHost: describe,
      }),
    ],
    onFailure: (thrown, { path }) => log.warn({ path, fault: asFault(thrown).message }, "call failed"),
  });
  tls.watch({ onRenewal: () => transfer.reloadTls() });
  const metrics = await startMetrics(config, world);
  notifier.ready(stopped);
  log.info({ version: VERSION, listen: config.listen }, "serving");
  await heartbeats({ config, world, journal, quarantine, bootId, describe }, stopped);

  notifier.stopping();
  tls.unwatch();
  await server.close(STOP_GRACE_MS);
  await operations.close();
  await transfer.close();
  await metrics?.close();
  hook.close();
  await hypervisor.close();
  journal.close();
}

/**
 * Before anything is served: the deny files cover at least what the journal denies (SAFETY R9). A server that is
 * active here is not denied for an incarnation of its past, and gets its allowance back if that was lost.
 */
async function denyAgain(config: AgentConfig, journal: Journal, log: Logger): Promise<void> {
  await clearStartTokens(config.run_dir);
  const files = guestFiles(config.state_dir);
  const active = new Guests(journal).list().filter(guest => guest.role === "active");
  const isPast = (record: FenceRecord) =>
    active.some(guest => guest.serverId === record.server && guest.incarnation !== record.incarnation);
  const records = new FenceRecords(new Documents(journal, Date.now)).list();
  const denials = records.filter(record => isDenied(record) && !isPast(record)).map(denialOf);
  const rebuilt = await rebuildDenials(files, denials);
  for (const { serverId, incarnation } of active) {
    if ((await files.read(serverId)) !== undefined) continue;
    await files.allow(serverId, incarnation);
    rebuilt.push(serverId);
  }
  if (rebuilt.length > 0)
    log.warn({ servers: rebuilt }, "guest files were missing and have been written again");
}

function describer(world: World) {
  const sources = {
    roots: world.roots,
    hypervisor: world.capabilities,
    space: new SpaceProbe(),
    imageDirectories: world.config.image_dirs,
    system: readSystemOnce(),
  };
  return () => describeHost(sources);
}

async function startMetrics(config: AgentConfig, world: World) {
  if (config.metrics_listen === undefined) return undefined;
  const registry = createRegistry("ferry-agent", VERSION);
  agentMetrics(registry, world);
  const problem = () => world.hook.problem() || undefined;
  return serveMetrics({ registry, address: config.metrics_listen, problem });
}

interface HeartbeatSources {
  readonly config: AgentConfig;
  readonly world: World;
  readonly journal: Journal;
  readonly quarantine: Quarantine;
  readonly bootId: string;
  readonly describe: () => Promise<HostDescription>;
}

async function heartbeats(
  { config, world, journal, quarantine, bootId, describe }: HeartbeatSources,
  signal: AbortSignal,
): Promise<void> {
  const facts = {
    host: config.host,
    address: config.advertise ?? config.listen,
    migrationAddress: config.migration_address,
    dataPort: config.data_port,
    agentVersion: VERSION,
    bootId,
    ...(await installationFacts(journal)),
  };
  const inventories = seldom(() => readInventories(world));
  const hardware = async () => hostHardware(await describe(), await readFreeHardware(world));
  // Every controller hears for itself: each may have to decide by what this host says.
  await Promise.all(
    [config.controller].flat().map(async address => {
      const controller = createClient(address, world.tls, { kind: "controller" });
      try {
        await beat({ controller, world, facts, inventories, quarantine, hardware, log: world.log }, signal);
      } finally {
        controller.close();
      }
    }),
  );
}

function transferTls({ material }: TlsSource) {
  const { ca, cert, key, revoked } = material;
  return { ca: ca.toString(), cert: cert.toString(), key: key.toString(), revoked };
}

await runDaemon({
  program: "ferry-agent",
  defaultConfigPath: "/etc/ferry/agent.toml",
  readConfig: readAgentConfig,
  logFields: ({ host }) => ({ host }),
  serve,
});
