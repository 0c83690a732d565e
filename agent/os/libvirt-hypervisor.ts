/**
 * `Hypervisor` over libvirt.
 *
 * Every method is one or a few libvirt calls and keeps no state of its own: what the daemon says now is the answer.
 * Domain handles live as long as one call. Faults say what was attempted, then libvirt's words.
 */

import {
  type Connect,
  type Domain,
  loadLibvirt,
  type StoragePool as PoolHandle,
} from "../../native/lib/libvirt.js";
import * as virt from "../../native/lib/libvirt-constants.js";
import { LibvirtError } from "../../native/lib/libvirt-error.js";
import { Fault } from "../../proto/fault.js";
import type {
  CpuComparison,
  DomainCapabilitiesQuery,
  DomainEvent,
  DomainSummary,
  Hypervisor,
  StoragePool,
  Versions,
  VirtualNetwork,
  XmlKind,
} from "./hypervisor.js";
import { LibvirtLink, type LibvirtLinkOptions } from "./libvirt-link.js";
import { eventOf, summaryOf } from "./libvirt-summary.js";
import { diskNames, poolTarget } from "./libvirt-xml.js";
import { terminateQemu } from "./terminate-qemu.js";
import { undefineDomain } from "./undefine-domain.js";

/** Names Ferry's element inside `<metadata>`. */
const METADATA_URI = "https://ferry.dev/xmlns/domain/1";
const METADATA_KEY = "ferry";

/** How long QEMU may take to end after SIGTERM (SAFETY R20). */
const TERMINATE_LIMIT_MS = 15_000;

/** By virCPUCompareResult. */
const COMPARISONS: readonly CpuComparison[] = ["incompatible", "identical", "superset"];

export class LibvirtHypervisor implements Hypervisor {
  readonly #link: LibvirtLink;

  private constructor(link: LibvirtLink) {
    this.#link = link;
  }

  /** @throws AddonUnavailableError without libvirt; a fault when the daemon cannot be reached. */
  static async open(options: LibvirtLinkOptions): Promise<LibvirtHypervisor> {
    return new LibvirtHypervisor(await LibvirtLink.open(loadLibvirt(), options));
  }

  versions(): Promise<Versions> {
    return this.#link.control("ask for versions", async connect => {
      const [libvirt, qemu] = await Promise.all([connect.getLibVersion(), connect.getVersion()]);
      return { libvirt, qemu };
    });
  }

  hostname(): Promise<string> {
    return this.#link.control("ask for the hostname", connect => connect.getHostname());
  }

  capabilities(): Promise<string> {
    return this.#link.long("ask for capabilities", connect => connect.getCapabilities());
  }

  domainCapabilities({ emulator, arch, machine, virttype }: DomainCapabilitiesQuery): Promise<string> {
    return this.#link.long("ask for domain capabilities", connect =>
      connect.getDomainCapabilities(emulator, arch, machine, virttype, 0),
    );
  }

  compareHypervisorCpu(query: DomainCapabilitiesQuery, cpuXml: string): Promise<CpuComparison> {
    const { emulator, arch, machine, virttype } = query;
    return this.#link.long("compare the CPU", async connect => {
      const result = await connect.compareHypervisorCPU(emulator, arch, machine, virttype, cpuXml, 0);
      const comparison = COMPARISONS[result];
      if (comparison === undefined) throw new Fault("unsupported", `libvirt answered ${result}`);
      return comparison;
    });
  }

  storagePools(): Promise<readonly StoragePool[]> {
    return this.#link.control("list storage pools", async connect => {
      const pools = await connect.listAllStoragePools(0);
      return present(pools.map(readPool), virt.VIR_ERR_NO_STORAGE_POOL);
    });
  }

  networks(): Promise<readonly VirtualNetwork[]> {
    return this.#link.control("list networks", async connect => {
      const networks = await connect.listAllNetworks(0);
      return networks.map(({ name, active, bridge = "" }) => ({ name, active, bridge }));
    });
  }

  listDomains(): Promise<readonly DomainSummary[]> {
    return this.#link.control("list domains", async connect => {
      const domains = await connect.listAllDomains(0);
      return present(domains.map(readDomain), virt.VIR_ERR_NO_DOMAIN);
    });
  }

  findDomain(uuid: string): Promise<DomainSummary | undefined> {
    return this.#find(`find domain ${uuid}`, connect => connect.lookupByUUID(uuid));
  }

  findDomainByName(name: string): Promise<DomainSummary | undefined> {
    return this.#find(`find domain ${name}`, connect => connect.lookupByName(name));
  }

  domainXml(uuid: string, kind: XmlKind): Promise<string> {
    const flags = kind === "inactive" ? INACTIVE_XML : virt.VIR_DOMAIN_XML_SECURE;
    return this.#ask(`read the ${kind} XML of`, uuid, domain => domain.getXMLDesc(flags));
  }

  define(xml: string): Promise<string> {
    return this.#link.control("define a domain", async connect => {
      using domain = await connect.defineXML(xml, 0);
      return await domain.getXMLDesc(INACTIVE_XML);
    });
  }

  undefine(uuid: string): Promise<void> {
    return this.#ask("undefine", uuid, undefineDomain);
  }

  setAutostart(uuid: string, autostart: boolean): Promise<void> {
    return this.#ask(`set autostart=${autostart} of`, uuid, domain => domain.setAutostart(autostart));
  }

  setMetadata(uuid: string, xml: string | undefined): Promise<void> {
    return this.#ask("set the metadata of", uuid, async domain => {
      const type = virt.VIR_DOMAIN_METADATA_ELEMENT;
      const flags = virt.VIR_DOMAIN_AFFECT_CONFIG;
      await domain.setMetadata(type, xml, METADATA_KEY, METADATA_URI, flags);
    });
  }

  start(uuid: string, { paused }: { readonly paused: boolean }): Promise<void> {
    const flags = paused ? virt.VIR_DOMAIN_START_PAUSED : virt.VIR_DOMAIN_NONE;
    return this.#change("start", uuid, domain => domain.create(flags));
  }

  resume(uuid: string): Promise<void> {
    return this.#change("resume", uuid, domain => domain.resume());
  }

  shutdown(uuid: string): Promise<void> {
    return this.#change("shut down", uuid, domain => domain.shutdown(virt.VIR_DOMAIN_SHUTDOWN_DEFAULT));
  }

  destroy(uuid: string, { graceful }: { readonly graceful: boolean }): Promise<void> {
    if (!graceful) {
      return this.#change("destroy", uuid, domain => domain.destroy(virt.VIR_DOMAIN_DESTROY_DEFAULT));
    }
    return this.#link.long(`stop ${uuid}`, connect =>
      withDomain(connect, uuid, domain => terminate(connect, domain)),
    );
  }

  snapshotXmls(uuid: string): Promise<readonly string[]> {
    return this.#ask("list the snapshots of", uuid, domain =>
      domain.listAllSnapshots(0, virt.VIR_DOMAIN_SNAPSHOT_XML_SECURE),
    );
  }

  checkpointXmls(uuid: string): Promise<readonly string[]> {
    return this.#ask("list the checkpoints of", uuid, domain =>
      domain.listAllCheckpoints(0, virt.VIR_DOMAIN_CHECKPOINT_XML_SECURE),
    );
  }

  runningJobs(uuid: string): Promise<{ readonly blockJobs: readonly string[]; readonly domainJob: boolean }> {
    return this.#ask("look for jobs of", uuid, async domain => {
      const { state } = await domain.getState();
      if (state === virt.VIR_DOMAIN_SHUTOFF) return { blockJobs: [], domainJob: false };
      const job = await domain.getJobInfo();
      const blockJobs: string[] = [];
      for (const disk of diskNames(await domain.getXMLDesc(0))) {
        if ((await domain.blockJobInfo(disk, 0)) !== undefined) blockJobs.push(disk);
      }
      return { blockJobs, domainJob: job.type !== virt.VIR_DOMAIN_JOB_NONE };
    });
  }

  onDomainEvent(listener: (event: DomainEvent) => void): () => void {
    return this.#link.onLifecycle(notice => {
      const event = eventOf(notice);
      if (event !== undefined) listener(event);
    });
  }

  onConnection(listener: (state: "lost" | "restored") => void): () => void {
    return this.#link.onConnection(listener);
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  async #find(
    attempt: string,
    lookUp: (connect: Connect) => Promise<Domain>,
  ): Promise<DomainSummary | undefined> {
    try {
      return await this.#link.control(attempt, async connect => readDomain(await lookUp(connect)));
    } catch (error) {
      if (error instanceof Fault && error.code === "not-found") return undefined;
      throw error;
    }
  }

  /** A short call about one domain. */
  #ask<T>(attempt: string, uuid: string, call: (domain: Domain) => Promise<T>): Promise<T> {
    return this.#link.control(`${attempt} ${uuid}`, connect => withDomain(connect, uuid, call));
  }

  /** A call that may take long. */
  #change(attempt: string, uuid: string, call: (domain: Domain) => Promise<void>): Promise<void> {
    return this.#link.long(`${attempt} ${uuid}`, connect => withDomain(connect, uuid, call));
  }
}

const INACTIVE_XML = virt.VIR_DOMAIN_XML_INACTIVE | virt.VIR_DOMAIN_XML_SECURE;

async function withDomain<T>(
  connect: Connect,
  uuid: string,
  call: (domain: Domain) => Promise<T>,
): Promise<T> {
  using domain = await connect.lookupByUUID(uuid);
  return await call(domain);
}

async function terminate(connect: Connect, domain: Domain): Promise<void> {
  if ((await connect.getType()) === "QEMU") await terminateQemu(domain, TERMINATE_LIMIT_MS);
  else await domain.destroy(virt.VIR_DOMAIN_DESTROY_GRACEFUL);
}

async function readDomain(handle: Domain): Promise<DomainSummary> {
  using domain = handle;
  return await summaryOf(domain);
}

async function readPool(handle: PoolHandle): Promise<StoragePool> {
  using pool = handle;
  const [active, info, xml] = await Promise.all([pool.isActive(), pool.getInfo(), pool.getXMLDesc(0)]);
  const { type, path } = poolTarget(xml);
  const capacityBytes = Number(info.capacity);
  return { name: pool.name, type, path, active, capacityBytes, availableBytes: Number(info.available) };
}

/** All that did not vanish between being listed and being read. */
async function present<T>(reads: readonly Promise<T>[], goneCode: number): Promise<T[]> {
  const results = await Promise.allSettled(reads);
  return results.flatMap(result => {
    if (result.status === "fulfilled") return [result.value];
    if (result.reason instanceof LibvirtError && result.reason.code === goneCode) return [];
    throw result.reason;
  });
}
