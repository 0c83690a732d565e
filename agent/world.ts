/** Puts the edges of this host together into what the verbs may touch. Nothing here decides anything. */

import { access, readFile, stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { Fault } from "../proto/fault.js";
import type { TlsSource } from "../proto/tls-source.js";
import type { AgentConfig } from "./config.js";
import { type BlockDevices, blockDevices } from "./disk/block-devices.js";
import { findQemuProcesses } from "./disk/process-watch.js";
import { canonicalXml } from "./domain/canonical-xml.js";
import { incarnationOf } from "./domain/remembered-incarnations.js";
import type { FenceEdges } from "./fence/fence.js";
import { guestFiles } from "./fence/guest-file.js";
import type { Hook } from "./hook.js";
import { Artifacts } from "./journal/artifacts.js";
import { Bookings } from "./journal/bookings.js";
import { Documents } from "./journal/documents.js";
import { FenceRecords } from "./journal/fence-records.js";
import { Guests } from "./journal/guests.js";
import type { Journal } from "./journal/journal.js";
import type { Engine } from "./os/engine.js";
import type { Files } from "./os/files.js";
import type { Hypervisor } from "./os/hypervisor.js";
import { runTool } from "./os/tool.js";
import { rememberCapabilities } from "./probe/remembered-capabilities.js";
import { LIVE_ROOTS } from "./probe/roots.js";
import { Readings } from "./readings.js";
import { Bandwidth } from "./transfer/bandwidth.js";
import { keptPolicy } from "./transfer/compression.js";
import type { TransferListener } from "./transfer/target.js";
import type { World } from "./verbs/verb.js";

export interface Edges {
  readonly config: AgentConfig;
  readonly journal: Journal;
  readonly hypervisor: Hypervisor;
  readonly files: Files;
  readonly engine: Engine;
  readonly transfer: TransferListener;
  readonly tls: TlsSource;
  readonly hook: Pick<Hook, "problem" | "isPending" | "require">;
  readonly log: Logger;
  readonly bootId: string;
}

export function createWorld(edges: Edges): World {
  const { config, journal, hook } = edges;
  keptPolicy(config.compression, edges.engine.compressions);
  const now = Date.now;
  const documents = new Documents(journal, now);
  const devices = blockDevices({ listed: config.block_devices, roots: LIVE_ROOTS, bootId: edges.bootId });
  return {
    config,
    hypervisor: edges.hypervisor,
    capabilities: rememberCapabilities(edges.hypervisor, REMEMBERED),
    roots: LIVE_ROOTS,
    files: edges.files,
    engine: edges.engine,
    bandwidth: limitedBandwidth(edges),
    places: { directories: config.image_dirs },
    blockDevices: devices,
    runTool,
    fence: fenceEdges(edges, devices, new FenceRecords(documents)),
    transfer: edges.transfer,
    tls: edges.tls,
    hook,
    requireHook: () => hook.require(),
    guests: new Guests(journal),
    documents,
    artifacts: new Artifacts(journal),
    bookings: new Bookings(journal),
    atomically: body => journal.write(body),
    readings: new Readings(),
    log: edges.log,
    now,
    monotonicMs: () => performance.now(),
    sleep: (durationMs, signal) => sleep(durationMs, signal),
    exists: path => access(path).then(yes, no),
    isFolder: path => stat(path).then(stats => stats.isDirectory(), no),
  };
}

function limitedBandwidth({ config, engine }: Edges): Bandwidth {
  const bandwidth = new Bandwidth(engine);
  bandwidth.limitHost(config.bandwidth_limit_mib_per_second * 1024 ** 2);
  return bandwidth;
}

/** Each description would make libvirt probe its emulators anew, which takes seconds. */
const REMEMBERED = { ageLimitMs: 600_000, nowMs: () => performance.now() };

export const readBootId = async (): Promise<string> =>
  (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();

function fenceEdges(
  { config, hypervisor, files, bootId }: Edges,
  devices: BlockDevices,
  records: FenceRecords,
): FenceEdges {
  return {
    hypervisor,
    files,
    blockDevices: devices,
    bootId,
    guestFiles: guestFiles(config.state_dir),
    journal: records,
    findProcesses,
    incarnationOf,
    canonicalXml: xml => canonicalXml(xml),
    clock: Date.now,
    host: config.host,
  };
}

/** A process list with gaps in it is no proof of anything (SAFETY R7). */
async function findProcesses(uuid: string): Promise<readonly number[]> {
  const { found, unknown } = await findQemuProcesses("/proc", uuid);
  if (unknown.length === 0) return found.map(({ pid }) => pid);
  throw new Fault(
    "failed",
    `cannot tell whether a QEMU of ${uuid} runs: ${unknown.map(({ pid, reason }) => `${pid}: ${reason}`).join(", ")}`,
  );
}

async function sleep(durationMs: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(durationMs, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

const yes = () => true;
const no = () => false;
