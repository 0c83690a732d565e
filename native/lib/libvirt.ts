/**
 * The libvirt addon, typed: libvirt's own functions under their own names, as promises.
 *
 * Calls run on the addon's threads and reject with `LibvirtError`; a wrong argument type or a closed handle throws
 * at once. Flags are always given, nothing has a default. 64-bit numbers are BigInt. Handles are freed explicitly
 * (`close`, `free`, `using`); garbage collection is only a net. Closing a connection frees all that came from it; a
 * connection that was lost is never revived: open another one, subscribe again, list again.
 */

import { LibvirtError } from "./libvirt-error.js";
import { loadAddon } from "./load-addon.js";
import type { PoolStats } from "./pool-stats.js";

export interface Libvirt {
  /** `flags`: virConnectFlags; VIR_CONNECT_RO is read-only. Never asks for credentials. */
  open(uri: string, flags: number): Promise<Connect>;
  poolStats(): PoolStats;
  /** Occupies one worker; for tests. */
  block(durationMs: number): Promise<void>;
  /** Sanitizer builds only: false when memory leaked. */
  leakCheck?(): boolean;
}

export interface LifecycleNotice {
  readonly uuid: string;
  readonly name: string;
  /** virDomainEventType and its detail. */
  readonly event: number;
  readonly detail: number;
}

export interface IoErrorNotice {
  readonly uuid: string;
  readonly name: string;
  readonly path: string;
  readonly alias: string;
  readonly action: number;
  readonly reason: string;
}

export interface NetworkFacts {
  readonly name: string;
  readonly uuid: string;
  readonly active: boolean;
  readonly bridge?: string;
}

export type TypedValue = number | bigint | boolean | string;

export interface DomainStats {
  readonly uuid: string;
  readonly name: string;
  readonly stats: Readonly<Record<string, TypedValue>>;
}

export interface Connect extends AsyncDisposable {
  /** Ends subscriptions and frees every handle that came from here; calls in flight still finish. */
  close(): Promise<void>;
  isAlive(): Promise<boolean>;
  /** The driver: "QEMU", "TEST", … */
  getType(): Promise<string>;
  getLibVersion(): Promise<number>;
  getVersion(): Promise<number>;
  getHostname(): Promise<string>;
  getCapabilities(): Promise<string>;
  getDomainCapabilities(
    emulator: string | undefined,
    arch: string | undefined,
    machine: string | undefined,
    virttype: string | undefined,
    flags: number,
  ): Promise<string>;
  /** virCPUCompareResult. */
  compareHypervisorCPU(
    emulator: string | undefined,
    arch: string | undefined,
    machine: string | undefined,
    virttype: string | undefined,
    cpuXml: string,
    flags: number,
  ): Promise<number>;
  /** False when the other side does not speak it. */
  setKeepAlive(intervalSeconds: number, count: number): Promise<boolean>;
  /**
   * Each answers the id for `removeListener`. Listeners run in the order of the events; libvirt takes one per kind
   * and connection.
   */
  onLifecycle(listener: (notice: LifecycleNotice) => void): Promise<number>;
  onIoError(listener: (notice: IoErrorNotice) => void): Promise<number>;
  removeListener(id: number): Promise<void>;
  /** At most one; virConnectCloseReason. Not called by `close()`. */
  onClose(listener: (reason: number) => void): Promise<void>;
  lookupByName(name: string): Promise<Domain>;
  lookupByUUID(uuid: string): Promise<Domain>;
  defineXML(xml: string, flags: number): Promise<Domain>;
  listAllDomains(flags: number): Promise<Domain[]>;
  getAllDomainStats(stats: number, flags: number): Promise<DomainStats[]>;
  listAllStoragePools(flags: number): Promise<StoragePool[]>;
  listAllNetworks(flags: number): Promise<NetworkFacts[]>;
}

export interface Domain extends Disposable {
  readonly name: string;
  readonly uuid: string;
  /** As of when the handle was made; -1 when it was not running. */
  readonly id: number;
  free(): void;
  create(flags: number): Promise<void>;
  shutdown(flags: number): Promise<void>;
  destroy(flags: number): Promise<void>;
  suspend(): Promise<void>;
  resume(): Promise<void>;
  undefine(flags: number): Promise<void>;
  setAutostart(autostart: boolean): Promise<void>;
  setMetadata(
    type: number,
    metadata: string | undefined,
    key: string | undefined,
    uri: string | undefined,
    flags: number,
  ): Promise<void>;
  blockResize(disk: string, sizeBytes: number | bigint, flags: number): Promise<void>;
  getState(): Promise<{ readonly state: number; readonly reason: number }>;
  getInfo(): Promise<{
    readonly state: number;
    readonly maxMemoryKib: bigint;
    readonly memoryKib: bigint;
    readonly vcpus: number;
    readonly cpuTimeNs: bigint;
  }>;
  getXMLDesc(flags: number): Promise<string>;
  getMetadata(type: number, uri: string | undefined, flags: number): Promise<string>;
  isPersistent(): Promise<boolean>;
  getAutostart(): Promise<boolean>;
  hasManagedSaveImage(): Promise<boolean>;
  /** XML of each. */
  listAllSnapshots(flags: number, xmlFlags: number): Promise<string[]>;
  listAllCheckpoints(flags: number, xmlFlags: number): Promise<string[]>;
  /** Each answers the name of what was made. */
  snapshotCreateXML(xml: string, flags: number): Promise<string>;
  checkpointCreateXML(xml: string, flags: number): Promise<string>;
  /** `type`: virDomainJobType, 0 when there is none. */
  getJobInfo(): Promise<{
    readonly type: number;
    readonly timeElapsedMs: bigint;
    readonly dataTotalBytes: bigint;
    readonly dataProcessedBytes: bigint;
    readonly dataRemainingBytes: bigint;
  }>;
  getJobStats(
    flags: number,
  ): Promise<{ readonly type: number; readonly stats: Readonly<Record<string, TypedValue>> }>;
  abortJob(): Promise<void>;
  /** Undefined when the disk has no job. */
  blockJobInfo(
    disk: string,
    flags: number,
  ): Promise<
    | { readonly type: number; readonly bandwidth: bigint; readonly current: bigint; readonly end: bigint }
    | undefined
  >;
}

export interface StoragePool extends Disposable {
  readonly name: string;
  readonly uuid: string;
  isActive(): Promise<boolean>;
  /** `state`: virStoragePoolState; sizes in bytes. */
  getInfo(): Promise<{
    readonly state: number;
    readonly capacity: bigint;
    readonly allocation: bigint;
    readonly available: bigint;
  }>;
  getXMLDesc(flags: number): Promise<string>;
  refresh(flags: number): Promise<void>;
  free(): void;
}

interface Prototype {
  readonly prototype: Record<PropertyKey, unknown>;
}

interface Addon extends Libvirt {
  readonly Connect: Prototype;
  readonly Domain: Prototype;
  readonly StoragePool: Prototype;
  init(errorClass: typeof LibvirtError): void;
}

let loaded: Addon | undefined;

/** @throws AddonUnavailableError: ERR_LIBVIRT_UNAVAILABLE where libvirt is not installed. */
export function loadLibvirt(): Libvirt {
  if (loaded !== undefined) return loaded;
  const addon = loadAddon("virt") as Addon;
  addon.init(LibvirtError);
  addon.Connect.prototype[Symbol.asyncDispose] = addon.Connect.prototype.close;
  addon.Domain.prototype[Symbol.dispose] = addon.Domain.prototype.free;
  addon.StoragePool.prototype[Symbol.dispose] = addon.StoragePool.prototype.free;
  loaded = addon;
  return addon;
}
