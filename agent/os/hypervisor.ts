/**
 * What the agent needs of a hypervisor, in libvirt's own terms.
 *
 * `LibvirtHypervisor` carries it out over our bindings; the fake of the simulation implements the same interface
 * and is held to the same contract suite. Every method rejects with a `Fault` (libvirt's codes become faults in
 * `libvirt-fault.ts`, nowhere else). Domains are named by uuid: names can change, uuids cannot.
 */

export type DomainState =
  | "running"
  | "blocked"
  | "paused"
  | "shutting-down"
  | "shut-off"
  | "crashed"
  | "pm-suspended"
  | "no-state";

export interface DomainSummary {
  readonly uuid: string;
  readonly name: string;
  readonly state: DomainState;
  /** libvirt's reason code within the state (virDomainPausedReason, …); 5 with `paused` is an I/O error. */
  readonly stateReason: number;
  readonly persistent: boolean;
  readonly autostart: boolean;
  readonly hasManagedSave: boolean;
}

export type XmlKind = "inactive" | "live";

export interface Versions {
  /** major * 1_000_000 + minor * 1_000 + release, as libvirt encodes them. */
  readonly libvirt: number;
  readonly qemu: number;
}

export interface StoragePool {
  readonly name: string;
  readonly type: string;
  readonly path: string;
  readonly active: boolean;
  readonly capacityBytes: number;
  readonly availableBytes: number;
}

export interface VirtualNetwork {
  readonly name: string;
  readonly active: boolean;
  readonly bridge: string;
}

export type LifecycleEvent =
  | "defined"
  | "undefined"
  | "started"
  | "suspended"
  | "resumed"
  | "stopped"
  | "shutdown"
  | "pmsuspended"
  | "crashed";

export interface DomainEvent {
  readonly uuid: string;
  readonly name: string;
  readonly event: LifecycleEvent;
  readonly detail: number;
}

export interface DomainCapabilitiesQuery {
  readonly emulator?: string;
  readonly arch?: string;
  readonly machine?: string;
  readonly virttype?: string;
}

/** virCPUCompareResult. */
export type CpuComparison = "incompatible" | "identical" | "superset";

export interface Hypervisor {
  versions(): Promise<Versions>;
  hostname(): Promise<string>;
  /** virConnectGetCapabilities: XML. */
  capabilities(): Promise<string>;
  /** virConnectGetDomainCapabilities: XML. */
  domainCapabilities(query: DomainCapabilitiesQuery): Promise<string>;
  compareHypervisorCpu(query: DomainCapabilitiesQuery, cpuXml: string): Promise<CpuComparison>;
  storagePools(): Promise<readonly StoragePool[]>;
  networks(): Promise<readonly VirtualNetwork[]>;

  listDomains(): Promise<readonly DomainSummary[]>;
  /** Undefined when no such domain is known; any doubt rejects. */
  findDomain(uuid: string): Promise<DomainSummary | undefined>;
  findDomainByName(name: string): Promise<DomainSummary | undefined>;
  /** With VIR_DOMAIN_XML_SECURE, so that the text can define the same domain again. */
  domainXml(uuid: string, kind: XmlKind): Promise<string>;
  /** Defines (or re-defines) and returns the inactive XML as libvirt stored it. */
  define(xml: string): Promise<string>;
  /** Undefine without any clean-up flag (SAFETY R5): KEEP_NVRAM and KEEP_TPM where libvirt knows them. */
  undefine(uuid: string): Promise<void>;
  setAutostart(uuid: string, autostart: boolean): Promise<void>;
  /** Ferry's element in `<metadata>`, or undefined. `xml` undefined removes it. Affects the inactive configuration only. */
  setMetadata(uuid: string, xml: string | undefined): Promise<void>;

  /** virDomainCreateWithFlags; `paused` leaves the CPUs stopped. */
  start(uuid: string, options: { readonly paused: boolean }): Promise<void>;
  resume(uuid: string): Promise<void>;
  /** One ACPI power-button press (or guest-agent shutdown); returns at once. */
  shutdown(uuid: string): Promise<void>;
  /** Graceful sends SIGTERM only and rejects with `timeout` where QEMU does not go; otherwise SIGKILL follows. */
  destroy(uuid: string, options: { readonly graceful: boolean }): Promise<void>;

  snapshotXmls(uuid: string): Promise<readonly string[]>;
  checkpointXmls(uuid: string): Promise<readonly string[]>;
  /** Names of disks with a running block job, and whether a domain job (migration, save, backup) is active. */
  runningJobs(uuid: string): Promise<{ readonly blockJobs: readonly string[]; readonly domainJob: boolean }>;

  /** Lifecycle events until the signal aborts; survives reconnects (events in between are lost: reconcile). */
  onDomainEvent(listener: (event: DomainEvent) => void): () => void;
  /** Called when the daemon went away (and its hook proof with it, SAFETY R6d) and when it is back. */
  onConnection(listener: (state: "lost" | "restored") => void): () => void;
  close(): Promise<void>;
}
