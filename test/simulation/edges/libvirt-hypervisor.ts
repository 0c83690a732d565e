/**
 * Stands for `agent/os/libvirt-hypervisor.ts`: the same interface over a simulated libvirtd. Held to the contract of
 * the real one (test/contract).
 */

import type {
  DomainCapabilitiesQuery,
  DomainEvent,
  Hypervisor,
  XmlKind,
} from "../../../agent/os/hypervisor.js";
import { Fault } from "../../../proto/fault.js";
import type { Libvirt } from "../world/libvirt.js";
import { step } from "../world/process.js";
import { withMetadata } from "./domain-metadata.js";

export class LibvirtHypervisor implements Hypervisor {
  readonly #daemon: Libvirt;
  readonly #undo = new Set<() => void>();
  #isClosed = false;

  private constructor(daemon: Libvirt) {
    this.#daemon = daemon;
  }

  static async open(_options: unknown): Promise<LibvirtHypervisor> {
    const process = await step();
    const { libvirt } = process.machine;
    if (!libvirt.isUp) throw new Fault("unreachable", "connect to qemu:///system: no daemon listens");
    const hypervisor = new LibvirtHypervisor(libvirt);
    process.onDeath.add(() => hypervisor.#forget());
    return hypervisor;
  }

  versions = () => this.#ask("ask for versions", () => ({ libvirt: 9_000_000, qemu: 7_002_000 }));
  hostname = () => this.#ask("ask for the hostname", ({ machine }) => machine.name);
  capabilities = () => this.#ask("ask for capabilities", () => CAPABILITIES);
  domainCapabilities = (_query: DomainCapabilitiesQuery) =>
    this.#ask("ask for domain capabilities", () => DOMAIN_CAPABILITIES);
  compareHypervisorCpu = (_query: DomainCapabilitiesQuery, _cpuXml: string) =>
    this.#ask("compare the CPU", () => "identical" as const);
  storagePools = () => this.#ask("list storage pools", () => []);
  networks = () => this.#ask("list networks", () => []);
  listDomains = () => this.#ask("list domains", daemon => daemon.list());
  findDomain = (uuid: string) => this.#ask(`find domain ${uuid}`, daemon => daemon.summaryOf(uuid));
  findDomainByName = (name: string) =>
    this.#ask(`find domain ${name}`, daemon => daemon.list().find(domain => domain.name === name));

  domainXml = (uuid: string, kind: XmlKind) =>
    this.#ask("", daemon => {
      const attempt = `read the ${kind} XML of`;
      return kind === "live" ? daemon.needLiveXml(attempt, uuid) : daemon.needDefinedXml(attempt, uuid);
    });

  define = (xml: string) => this.#change("define a domain", daemon => daemon.define(xml));
  undefine = (uuid: string) => this.#change(`undefine ${uuid}`, daemon => daemon.undefine(uuid));

  setAutostart = (uuid: string, autostart: boolean) =>
    this.#change("", daemon => {
      daemon.need(`set autostart=${autostart} of`, uuid).autostart = autostart;
    });

  setMetadata = (uuid: string, xml: string | undefined) =>
    this.#change("", daemon => {
      const domain = daemon.need("set the metadata of", uuid);
      domain.xml = withMetadata(domain.xml, xml);
    });

  start = (uuid: string, { paused }: { readonly paused: boolean }) =>
    this.#change("start", daemon => daemon.start(uuid, paused));
  resume = (uuid: string) => this.#change("resume", daemon => daemon.resume(uuid));
  shutdown = (uuid: string) => this.#change("shut down", daemon => daemon.pressPowerButton(uuid));
  destroy = (uuid: string, { graceful }: { readonly graceful: boolean }) =>
    this.#change("destroy", daemon => daemon.destroy(uuid, graceful));

  snapshotXmls = (uuid: string) =>
    this.#ask("", daemon => daemon.need("list the snapshots of", uuid).snapshotXmls);
  checkpointXmls = (uuid: string) =>
    this.#ask("", daemon => daemon.need("list the checkpoints of", uuid).checkpointXmls);

  runningJobs = (uuid: string) =>
    this.#ask("", daemon => {
      daemon.needDefinedXml("look for jobs of", uuid);
      return { blockJobs: [], domainJob: false };
    });

  onDomainEvent(listener: (event: DomainEvent) => void): () => void {
    return this.#listen(this.#daemon.listeners, (uuid, name, event) =>
      listener({ uuid, name, event, detail: 0 }),
    );
  }

  onConnection(listener: (state: "lost" | "restored") => void): () => void {
    return this.#listen(this.#daemon.connections, listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#forget();
  }

  /** The listener is told in the name of the process that it belongs to. */
  #listen<Args extends unknown[]>(
    all: Set<(...args: Args) => void>,
    listener: (...args: Args) => void,
  ): () => void {
    const process = this.#daemon.machine.running();
    const told = (...args: Args) => {
      if (process === undefined) listener(...args);
      else this.#daemon.machine.world.time.after(0, process, () => listener(...args));
    };
    all.add(told);
    const stop = () => void all.delete(told);
    this.#undo.add(stop);
    return stop;
  }

  #forget(): void {
    for (const undo of this.#undo) undo();
    this.#undo.clear();
  }

  async #ask<T>(attempt: string, answer: (daemon: Libvirt) => T): Promise<T> {
    await step();
    const isReachable = this.#daemon.isUp && !this.#isClosed;
    if (!isReachable) throw new Fault("unreachable", `${attempt}: the connection to libvirt was closed`);
    return answer(this.#daemon);
  }

  /** The effect may be there although the answer never comes. */
  async #change<T>(attempt: string, change: (daemon: Libvirt) => T): Promise<T> {
    const changed = await this.#ask(attempt, change);
    await step();
    return changed;
  }
}

const CAPABILITIES = `<capabilities><host><uuid>9c5c0f4e-0000-4000-8000-000000000001</uuid><cpu><arch>x86_64</arch><model>EPYC</model><vendor>AMD</vendor></cpu></host><guest><os_type>hvm</os_type><arch name="x86_64"><wordsize>64</wordsize><emulator>/usr/bin/qemu-system-x86_64</emulator><machine maxCpus="288">pc-q35-7.2</machine><domain type="qemu"/></arch></guest></capabilities>`;

const DOMAIN_CAPABILITIES = `<domainCapabilities><path>/usr/bin/qemu-system-x86_64</path><domain>qemu</domain><machine>pc-q35-7.2</machine><arch>x86_64</arch><vcpu max="288"/></domainCapabilities>`;
