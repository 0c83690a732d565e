/**
 * A hypervisor in memory: domains are defined, started and stopped, and every change is noted in order. Starts ask
 * the guest file as the libvirt hook does, so that what must not start does not.
 */

import type {
  DomainState,
  DomainSummary,
  Hypervisor,
  LifecycleEvent,
  VirtualNetwork,
} from "../../../agent/os/hypervisor.js";
import { Fault } from "../../../proto/fault.js";

interface Defined {
  xml: string;
  state: DomainState;
  autostart: boolean;
}

export class MemoryHypervisor implements Hypervisor {
  readonly domains = new Map<string, Defined>();
  /** "define", "start paused", "resume", …, in order. */
  readonly calls: string[] = [];
  virtualNetworks: VirtualNetwork[] = [];
  /** Sees each change before it is made. */
  before: (call: string) => Promise<void> = async () => {};
  /** What the guest does when its power button is pressed; nothing by default. */
  onShutdown: (domain: Defined) => void = () => {};
  /** Ends with SIGTERM. */
  endsGracefully = true;
  /** Refuses a start, as the hook would. */
  hook: (xml: string) => Promise<string | undefined> = async () => undefined;
  machineProblem = "";

  async versions() {
    return { libvirt: 9_000_000, qemu: 7_002_000 };
  }

  async hostname() {
    return "memory";
  }

  async capabilities() {
    return "<capabilities><host><cpu><arch>x86_64</arch></cpu></host></capabilities>";
  }

  async domainCapabilities() {
    if (this.machineProblem !== "") throw new Fault("unsupported", this.machineProblem);
    return '<domainCapabilities><vcpu max="288"/></domainCapabilities>';
  }

  async compareHypervisorCpu() {
    return "identical" as const;
  }

  async storagePools() {
    return [];
  }

  async networks() {
    return this.virtualNetworks;
  }

  async listDomains() {
    return [...this.domains].map(([uuid, domain]) => summaryOf(uuid, domain));
  }

  async findDomain(uuid: string) {
    const domain = this.domains.get(uuid);
    return domain && summaryOf(uuid, domain);
  }

  async findDomainByName(name: string) {
    return (await this.listDomains()).find(domain => domain.name === name);
  }

  async domainXml(uuid: string) {
    return this.#needed(uuid).xml;
  }

  async define(xml: string) {
    const uuid = /<uuid>([^<]*)</.exec(xml)?.[1] ?? "";
    await this.#begin("define");
    const known = this.domains.get(uuid);
    this.domains.set(uuid, { state: "shut-off", autostart: false, ...known, xml });
    return xml;
  }

  async undefine(uuid: string) {
    await this.#begin("undefine");
    this.#needed(uuid);
    this.domains.delete(uuid);
  }

  async setAutostart(uuid: string, autostart: boolean) {
    this.#needed(uuid).autostart = autostart;
  }

  async setMetadata(uuid: string, xml: string | undefined) {
    await this.#begin("set metadata");
    const domain = this.#needed(uuid);
    const named = xml
      ?.replace("<ferry>", '<ferry:ferry xmlns:ferry="https://ferry.dev/xmlns/domain/1">')
      .replace("<incarnation", "<ferry:incarnation")
      .replace("</ferry>", "</ferry:ferry>");
    domain.xml = domain.xml.replace("<memory", `<metadata>${named ?? ""}</metadata><memory`);
  }

  async start(uuid: string, { paused }: { readonly paused: boolean }) {
    const domain = this.#needed(uuid);
    const refusal = await this.hook(domain.xml);
    if (refusal !== undefined) throw new Fault("refused", refusal);
    await this.#begin(paused ? "start paused" : "start");
    domain.state = paused ? "paused" : "running";
  }

  async resume(uuid: string) {
    await this.#begin("resume");
    this.#needed(uuid).state = "running";
  }

  async shutdown(uuid: string) {
    await this.#begin("shutdown");
    this.onShutdown(this.#needed(uuid));
  }

  async destroy(uuid: string, { graceful }: { readonly graceful: boolean }) {
    await this.#begin(graceful ? "destroy gracefully" : "destroy");
    if (graceful && !this.endsGracefully) throw new Fault("timeout", "QEMU did not end");
    this.#needed(uuid).state = "shut-off";
  }

  async snapshotXmls() {
    return [];
  }

  async checkpointXmls() {
    return [];
  }

  async runningJobs() {
    return { blockJobs: [], domainJob: false };
  }

  onDomainEvent(_listener: (event: { event: LifecycleEvent } & never) => void) {
    return () => {};
  }

  onConnection() {
    return () => {};
  }

  async close() {}

  async #begin(call: string): Promise<void> {
    await this.before(call);
    this.calls.push(call);
  }

  #needed(uuid: string): Defined {
    const domain = this.domains.get(uuid);
    if (domain === undefined) throw new Fault("not-found", `no domain ${uuid}`);
    return domain;
  }
}

const summaryOf = (uuid: string, { xml, state, autostart }: Defined): DomainSummary => ({
  uuid,
  name: /<name>([^<]*)</.exec(xml)?.[1] ?? "",
  state,
  stateReason: 1,
  persistent: true,
  autostart,
  hasManagedSave: false,
});
