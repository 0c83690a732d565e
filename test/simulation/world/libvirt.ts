/**
 * libvirtd and the QEMUs of one machine: what is defined, what runs, and who has the disks open. The daemon can die
 * and come back without its guests noticing; a QEMU can live on that the daemon has forgotten.
 *
 * Failures are faults with libvirt's meaning, as `agent/os/libvirt-fault.ts` gives them.
 */

import { constants } from "node:fs";
import type { DomainState, DomainSummary, LifecycleEvent } from "../../../agent/os/hypervisor.js";
import { Fault } from "../../../proto/fault.js";
import type { OpenFile } from "./disk.js";
import type { Guest } from "./guest.js";
import { type HookOperation, hookRefusal } from "./hook-rule.js";
import type { Machine } from "./machine.js";

export interface Defined {
  readonly uuid: string;
  readonly name: string;
  xml: string;
  autostart: boolean;
  hasManagedSave: boolean;
  readonly snapshotXmls: string[];
  readonly checkpointXmls: string[];
}

/** A process with the guest's disks open. */
export interface Qemu {
  readonly uuid: string;
  readonly pid: number;
  readonly xml: string;
  readonly name: string;
  readonly disks: readonly OpenFile[];
  state: "running" | "paused";
  /** libvirt's reason; 5 is an I/O error. */
  reason: number;
  guest: Guest | undefined;
  /** The daemon lost its state and calls the domain shut off. */
  isOrphan: boolean;
  /** Undefined again while it runs: gone when it ends. */
  isTransient: boolean;
}

const HOOK_DIR = "/etc/libvirt/hooks/qemu.d";
const EXECUTABLE = 0o111;

export class Libvirt {
  readonly machine: Machine;
  /** What is in /etc/libvirt/qemu: durable. */
  readonly defined = new Map<string, Defined>();
  readonly qemus = new Map<string, Qemu>();
  isUp = true;
  /** Ignores SIGTERM. */
  isStubborn = false;
  /** Which hook scripts there were when the daemon started: it calls no others. */
  #loadedHooks: readonly string[] = [];
  readonly listeners = new Set<(uuid: string, name: string, event: LifecycleEvent) => void>();
  readonly connections = new Set<(state: "lost" | "restored") => void>();

  constructor(machine: Machine) {
    this.machine = machine;
    this.#loadHooks();
  }

  summaryOf(uuid: string): DomainSummary | undefined {
    const [defined, qemu] = [this.defined.get(uuid), this.#known(uuid)];
    const name = defined?.name ?? qemu?.name;
    if (name === undefined) return undefined;
    return {
      uuid,
      name,
      state: stateOf(qemu),
      stateReason: qemu?.reason ?? 1,
      persistent: defined !== undefined,
      autostart: defined?.autostart ?? false,
      hasManagedSave: defined?.hasManagedSave ?? false,
    };
  }

  list(): DomainSummary[] {
    const uuids = new Set([...this.defined.keys(), ...this.qemus.keys()]);
    return [...uuids].flatMap(uuid => this.summaryOf(uuid) ?? []);
  }

  define(xml: string): string {
    const [uuid, name] = [wordIn(xml, "uuid"), wordIn(xml, "name")];
    if (!/^<domain[\s>][\s\S]*<\/domain>\s*$/.test(xml.trim()) || uuid === undefined || name === undefined) {
      throw new Fault("invalid-argument", "define a domain: XML document failed to parse");
    }
    const namesake = [...this.defined.values()].find(domain => domain.name === name && domain.uuid !== uuid);
    if (namesake !== undefined) {
      const said = `operation failed: domain '${name}' already exists with uuid ${namesake.uuid}`;
      throw new Fault("already-exists", `define a domain: ${said}`);
    }
    const known = this.defined.get(uuid);
    if (known !== undefined && known.name !== name) {
      const said = `operation failed: domain '${known.name}' is already defined with uuid ${uuid}`;
      throw new Fault("already-exists", `define a domain: ${said}`);
    }
    const fresh = { autostart: false, hasManagedSave: false, snapshotXmls: [], checkpointXmls: [] };
    this.defined.set(uuid, { ...(known ?? fresh), uuid, name, xml });
    const qemu = this.qemus.get(uuid);
    if (qemu !== undefined) qemu.isTransient = false;
    this.#tell(uuid, name, "defined");
    return xml;
  }

  undefine(uuid: string): void {
    const { defined, name, snapshotXmls, checkpointXmls, hasManagedSave } = this.#needDefined(
      "undefine",
      uuid,
    );
    const blocker = hasManagedSave
      ? "Refusing to undefine while domain managed save image exists"
      : snapshotXmls.length > 0
        ? `cannot delete inactive domain with ${snapshotXmls.length} snapshots`
        : checkpointXmls.length > 0
          ? `cannot delete inactive domain with ${checkpointXmls.length} checkpoints`
          : undefined;
    if (blocker !== undefined && this.#known(uuid) === undefined)
      throw new Fault("conflict", `undefine ${uuid}: Requested operation is not valid: ${blocker}`);
    this.defined.delete(defined.uuid);
    const qemu = this.qemus.get(uuid);
    if (qemu !== undefined) qemu.isTransient = true;
    this.#tell(uuid, name, "undefined");
  }

  /** What `virsh start` does, or the agent's start, or autostart: they differ in nothing but the start token. */
  start(uuid: string, paused: boolean): void {
    const { defined, xml, name } = this.#needDefined("start", uuid);
    if (this.#known(uuid) !== undefined)
      throw new Fault("conflict", `start ${uuid}: domain is already running`);
    if (defined.hasManagedSave) this.#askHook("restore", uuid, name, xml);
    this.#askHook("prepare", uuid, name, xml);
    const disks = this.#openDisks(uuid, xml);
    const pid = this.machine.nextPid();
    const state = paused ? ("paused" as const) : ("running" as const);
    const reason = paused ? 11 : 1;
    const life = { guest: undefined, isOrphan: false, isTransient: false };
    const qemu: Qemu = { uuid, pid, xml, name, disks, state, reason, ...life };
    defined.hasManagedSave = false;
    this.qemus.set(uuid, qemu);
    this.#showProcess(qemu);
    this.#tell(uuid, name, "started");
    if (!paused) this.#runCpus(qemu);
  }

  resume(uuid: string): void {
    const qemu = this.#needActive("resume", uuid);
    if (qemu.state === "running") throw new Fault("conflict", `resume ${uuid}: domain is already running`);
    qemu.state = "running";
    qemu.reason = 1;
    this.#tell(uuid, qemu.name, "resumed");
    this.#runCpus(qemu);
  }

  pressPowerButton(uuid: string): void {
    this.#needActive("shut down", uuid).guest?.onPowerButton();
  }

  /** Graceful is SIGTERM, after which QEMU flushes and goes unless it is stubborn. */
  destroy(uuid: string, graceful: boolean): void {
    const qemu = this.#needActive(graceful ? "stop" : "destroy", uuid);
    if (graceful && this.isStubborn)
      throw new Fault("timeout", `stop ${uuid}: QEMU did not end within 15 s of SIGTERM`);
    this.end(qemu);
  }

  /** The process is gone, however it came. */
  end(qemu: Qemu): void {
    if (this.qemus.get(qemu.uuid) !== qemu) return;
    this.qemus.delete(qemu.uuid);
    qemu.guest?.end();
    for (const disk of qemu.disks) disk.close();
    this.machine.disk.find("/proc")?.entries.delete(`${qemu.pid}`);
    this.#tell(qemu.uuid, qemu.name, "stopped");
  }

  needDefinedXml(attempt: string, uuid: string): string {
    const known = this.defined.get(uuid)?.xml ?? this.#known(uuid)?.xml;
    if (known === undefined) throw notFound(attempt, uuid);
    return known;
  }

  needLiveXml(attempt: string, uuid: string): string {
    return this.#known(uuid)?.xml ?? this.needDefinedXml(attempt, uuid);
  }

  need(attempt: string, uuid: string): Defined {
    return this.#needDefined(attempt, uuid).defined;
  }

  /** The daemon alone: guests run on. With `forgets` it comes back not knowing them. */
  crash({ forgets = false } = {}): void {
    this.isUp = false;
    for (const told of this.connections) told("lost");
    if (forgets) for (const qemu of this.qemus.values()) qemu.isOrphan = true;
  }

  comeBack(): void {
    if (this.isUp) return;
    this.isUp = true;
    this.#loadHooks();
    for (const told of this.connections) told("restored");
  }

  losePower(): void {
    for (const qemu of this.qemus.values()) {
      qemu.guest?.end();
      this.qemus.delete(qemu.uuid);
    }
    this.isUp = false;
    this.connections.clear();
    this.listeners.clear();
  }

  /** At boot, long before any agent. A start that the hook refuses is only logged. */
  boot(): void {
    this.isUp = true;
    this.#loadHooks();
    for (const { uuid, autostart } of this.defined.values()) {
      if (!autostart) continue;
      try {
        this.start(uuid, false);
      } catch (error) {
        this.machine.say(`autostart of ${uuid}: ${(error as Error).message}`);
      }
    }
  }

  #known(uuid: string): Qemu | undefined {
    const qemu = this.qemus.get(uuid);
    return qemu?.isOrphan === true ? undefined : qemu;
  }

  #needDefined(attempt: string, uuid: string): Defined & { defined: Defined } {
    const defined = this.defined.get(uuid);
    if (defined === undefined) throw notFound(attempt, uuid);
    return { ...defined, defined };
  }

  #needActive(attempt: string, uuid: string): Qemu {
    const qemu = this.#known(uuid);
    if (qemu !== undefined) return qemu;
    if (!this.defined.has(uuid)) throw notFound(attempt, uuid);
    throw new Fault(
      "conflict",
      `${attempt} ${uuid}: Requested operation is not valid: domain is not running`,
    );
  }

  #loadHooks(): void {
    const folder = this.machine.disk.find(HOOK_DIR);
    this.#loadedHooks = folder?.kind === "directory" ? [...folder.entries.keys()] : [];
  }

  /** Called only if it was there when the daemon started and may be executed now; otherwise nobody is asked. */
  #askHook(operation: HookOperation, uuid: string, name: string, xml: string): void {
    const { machine } = this;
    const script = machine.disk.find(`${HOOK_DIR}/50-ferry`);
    if (!this.#loadedHooks.includes("50-ferry") || script === undefined || (script.mode & EXECUTABLE) === 0)
      return;
    const place = {
      disk: machine.disk,
      stateDir: "/var/lib/ferry",
      runDir: "/run/ferry",
      nowMs: machine.wallMs(),
    };
    const refusal = hookRefusal(place, operation, name, xml);
    if (refusal === undefined) return;
    throw new Fault("refused", `start ${uuid}: Hook script execution failed: ${refusal}`);
  }

  /** QEMU locks what it opens; a lease that somebody holds makes it wait until that lets go. */
  #openDisks(uuid: string, xml: string): OpenFile[] {
    const opened: OpenFile[] = [];
    try {
      for (const path of diskPaths(xml)) {
        const file = this.machine.disk.open(path, constants.O_RDWR);
        opened.push(file);
        if (!file.takeLock())
          throw new Error(`Failed to get "write" lock: Is another process using the image [${path}]?`);
      }
      return opened;
    } catch (error) {
      for (const file of opened) file.close();
      throw new Fault("failed", `start ${uuid}: ${(error as Error).message}`);
    }
  }

  #showProcess({ pid, uuid, disks }: Qemu): void {
    const { disk } = this.machine;
    disk.makeDirectories(`/proc/${pid}/fd`, 0o555, true);
    const commandLine = disk.open(`/proc/${pid}/cmdline`, constants.O_WRONLY | constants.O_CREAT, 0o444);
    commandLine.write(Buffer.from(`/usr/bin/qemu-system-x86_64\0-uuid\0${uuid}\0`), 0);
    commandLine.close();
    const folder = disk.need(`/proc/${pid}/fd`, "open");
    for (const [index, { inode }] of disks.entries()) folder.entries.set(`${index + 3}`, inode);
  }

  #runCpus(qemu: Qemu): void {
    qemu.guest = this.machine.world.guests.run(this, qemu);
  }

  #tell(uuid: string, name: string, event: LifecycleEvent): void {
    this.machine.world.onLifecycle(this.machine, uuid, name, event);
    for (const listener of this.listeners) listener(uuid, name, event);
  }
}

const notFound = (attempt: string, uuid: string): Fault =>
  new Fault("not-found", `${attempt} ${uuid}: Domain not found`);

const stateOf = (qemu: Qemu | undefined): DomainState => qemu?.state ?? "shut-off";

const wordIn = (xml: string, element: string): string | undefined =>
  new RegExp(`<${element}>([^<]+)</${element}>`).exec(xml)?.[1];

export const diskPaths = (xml: string): string[] =>
  [...xml.matchAll(/<source (?:file|dev)=["']([^"']+)["']/g)].map(match => match[1] ?? "");

export const incarnationIn = (xml: string): string => /incarnation id=["']([^"']*)["']/.exec(xml)?.[1] ?? "";
