/**
 * What a verb is: one thing an agent can be asked to do, written as observe → converge so that it may be carried
 * out again after any interruption. `World` is everything a verb may touch; `Call` is the request it serves.
 */

import type { Logger } from "pino";
import type { PerformResult } from "../../proto/gen/ferry/v1/agent.js";
import type { FaultInfo, Progress } from "../../proto/gen/ferry/v1/model.js";
import type { TlsSource } from "../../proto/tls-source.js";
import type { AgentConfig } from "../config.js";
import type { BlockDevices } from "../disk/block-devices.js";
import type { ImagePlaces } from "../disk/image-file.js";
import type { FenceEdges } from "../fence/fence.js";
import type { Artifacts } from "../journal/artifacts.js";
import type { Bookings } from "../journal/bookings.js";
import type { Documents } from "../journal/documents.js";
import type { Guests } from "../journal/guests.js";
import type { Engine } from "../os/engine.js";
import type { Files } from "../os/files.js";
import type { Hypervisor } from "../os/hypervisor.js";
import type { RunTool } from "../os/tool.js";
import type { HypervisorFacts } from "../probe/hypervisor.js";
import type { Roots } from "../probe/roots.js";
import type { Readings } from "../readings.js";
import type { Bandwidth } from "../transfer/bandwidth.js";
import type { TransferListener } from "../transfer/target.js";

export interface Call {
  readonly key: string;
  readonly serverId: string;
  /** Empty outside a migration. */
  readonly migrationId: string;
  readonly epoch: number;
  readonly signal: AbortSignal;
  note(text: string): void;
  progress(progress: Progress): void;
}

export interface World {
  readonly config: AgentConfig;
  readonly hypervisor: Hypervisor;
  /** What libvirt says of itself and the host, remembered for some minutes. */
  readonly capabilities: HypervisorFacts;
  /** Where the host's facts are read. */
  readonly roots: Roots;
  readonly files: Files;
  readonly engine: Engine;
  readonly bandwidth: Bandwidth;
  /** Where images may lie. */
  readonly places: ImagePlaces;
  /** Those that disks may lie on. */
  readonly blockDevices: BlockDevices;
  readonly runTool: RunTool;
  readonly fence: FenceEdges;
  readonly transfer: TransferListener;
  readonly tls: TlsSource;
  /** The libvirt hook's last proof: empty when it holds (SAFETY R6). */
  readonly hook: { problem(): string; isPending(): boolean };
  readonly guests: Guests;
  readonly documents: Documents;
  readonly artifacts: Artifacts;
  readonly bookings: Bookings;
  /** What `body` writes to the journal is written whole or not at all. */
  atomically<T>(body: () => T): T;
  readonly readings: Readings;
  exists(path: string): Promise<boolean>;
  isFolder(path: string): Promise<boolean>;
  /** Throws unless the hook is proven. */
  requireHook(): void;
  /** Wall clock, ms since the epoch: for records. */
  readonly now: () => number;
  readonly log: Logger;
  /** For intervals; never steps. */
  readonly monotonicMs: () => number;
  /** Rejects with the signal's reason when that aborts first. */
  sleep(durationMs: number, signal: AbortSignal): Promise<void>;
}

export type Verb<Request> = (request: Request, call: Call, world: World) => Promise<PerformResult>;

/** A result with the named parts filled in. */
export function result(parts: Partial<PerformResult> = {}): PerformResult {
  return {
    server: undefined,
    stopped: undefined,
    manifest: undefined,
    plan: undefined,
    receipt: undefined,
    copy: undefined,
    probe: undefined,
    refusals: [] as FaultInfo[],
    ...parts,
  };
}
