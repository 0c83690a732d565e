/**
 * One host for fencing tests: real files in a temporary folder, a journal and a hypervisor in memory.
 *
 * Every call over an edge passes `step`, which can end the process's life before or after the effect: that is how
 * the tests crash at every point. What is on disk, in the journal and in libvirt survives; nothing else does.
 */

import { existsSync, fstat } from "node:fs";
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { FenceEdges } from "../../../agent/fence/fence.js";
import type { FenceJournal, FenceRecord, IncarnationFile } from "../../../agent/fence/fence-record.js";
import { guestFiles } from "../../../agent/fence/guest-file.js";
import type { DomainState, DomainSummary } from "../../../agent/os/hypervisor.js";
import { Fault } from "../../../proto/fault.js";

export const SERVER = "11111111-2222-4333-8444-555555555555";
export const SOURCE = `${SERVER}/home/source/1`;
export const TARGET = `${SERVER}/m1/target/2`;

export const domainXml = (incarnation: string, name = "web-3"): string =>
  `<domain type="qemu"><name>${name}</name><uuid>${SERVER}</uuid><metadata><ferry:ferry xmlns:ferry="https://ferry.dev/xmlns/domain/1"><ferry:incarnation id="${incarnation}"/></ferry:ferry></metadata></domain>`;

const NOTHING_KNOWN = { sizeBytes: 1, lacking: "", kernelId: "", hostId: "" };

export class Crash extends Error {}

interface Domain {
  xml: string;
  state: DomainState;
  autostart: boolean;
}

export class World implements AsyncDisposable {
  domain: Domain | undefined = { xml: domainXml(SOURCE), state: "shut-off", autostart: true };
  /** Of the file system: ext4 unless a test says otherwise. */
  magic = 0xef53;
  processes: number[] = [];
  snapshots: string[] = [];
  namesake: DomainSummary | undefined;
  /** Paths that another process has open. */
  readonly open = new Set<string>();
  /** What every block device is, and who has it open. */
  deviceName = "naa.6001405aaaabbbbccccddddeeeeffff0";
  deviceHolders: string[] = [];
  readonly records = new Map<string, FenceRecord>();
  /** Names of the edge calls made, in order. */
  readonly calls: string[] = [];
  /** Crash at this call, before (`n`) or after (`n + 0.5`) its effect. */
  crashAt = Number.POSITIVE_INFINITY;
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  static async make(): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), "ferry-fence-")));
    await mkdir(join(world.root, "images"));
    await mkdir(join(world.root, "swtpm"));
    for (const path of ["images/vda.qcow2", "images/vdc.raw", "nvram.fd", "swtpm/tpm2-00.permall"]) {
      await writeFile(join(world.root, path), path);
    }
    return world;
  }

  at(path: string): string {
    return join(this.root, path);
  }

  get stateDir(): string {
    return this.at("state");
  }

  get files(): IncarnationFile[] {
    return [
      { id: "vda/0", path: this.at("images/vda.qcow2"), mode: "copied" },
      { id: "vdc/0", path: this.at("images/vdc.raw"), mode: "shared" },
      { id: "nvram", path: this.at("nvram.fd"), mode: "copied" },
      { id: "tpm", path: this.at("swtpm"), mode: "copied" },
    ];
  }

  get edges(): FenceEdges {
    return {
      hypervisor: this.#crashing("hypervisor", this.#hypervisor()),
      files: this.#crashing("files", this.#files()),
      blockDevices: {
        read: async path => ({ ...NOTHING_KNOWN, path, worldWideId: this.deviceName }),
        holders: async () => this.deviceHolders,
        writes: async () => 0,
      },
      guestFiles: this.#crashing("guestFiles", guestFiles(this.stateDir)),
      journal: this.#crashing("journal", this.#journal()),
      findProcesses: async () => this.processes,
      incarnationOf: xml => /incarnation id="([^"]*)"/.exec(xml)?.[1],
      canonicalXml: xml => xml.replaceAll(/>\s+</g, "><"),
      clock: () => 1_000,
      host: "h1",
      bootId: "boot-1",
    };
  }

  record(incarnation = SOURCE): FenceRecord | undefined {
    return this.records.get(`m1 ${incarnation}`);
  }

  has(path: string): boolean {
    return existsSync(this.at(path));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true });
  }

  #hypervisor(): FenceEdges["hypervisor"] {
    const needed = (): Domain => {
      if (!this.domain) throw new Fault("not-found", "no such domain");
      return this.domain;
    };
    const summary = (): DomainSummary | undefined =>
      this.domain && {
        uuid: SERVER,
        name: "web-3",
        state: this.domain.state,
        stateReason: 0,
        persistent: true,
        autostart: this.domain.autostart,
        hasManagedSave: false,
      };
    return {
      findDomain: async () => summary(),
      domainXml: async () => needed().xml,
      define: async xml => {
        this.domain = { xml, state: "shut-off", autostart: this.domain?.autostart ?? false };
        return xml;
      },
      undefine: async () => {
        needed();
        this.domain = undefined;
      },
      setAutostart: async (_uuid, autostart) => {
        needed().autostart = autostart;
      },
      destroy: async (_uuid, { graceful }) => {
        if (graceful) throw new Fault("timeout", "it does not go");
        needed().state = "shut-off";
        this.processes = [];
      },
      snapshotXmls: async () => this.snapshots,
      checkpointXmls: async () => [],
    };
  }

  #files(): FenceEdges["files"] {
    return {
      facts: async fd => {
        const { dev, ino, birthtimeNs, size, mtimeNs } = await bigStat(fd, { bigint: true });
        const times = { mtimeNs: `${mtimeNs}`, ctimeNs: "0", sizeBytes: Number(size), allocatedBytes: 0 };
        return { device: `${dev}`, inode: `${ino}`, birthNs: `${birthtimeNs}`, ...times };
      },
      renameNoReplace: async (from, to) => {
        if (existsSync(to)) throw Object.assign(new Error("EEXIST"), { code: "EEXIST" });
        await rename(from, to);
      },
      takeWriteLease: async fd => !(await this.#isOpen(fd)),
      holdsWriteLease: async fd => !(await this.#isOpen(fd)),
      takeQemuLock: async () => true,
      fileSystem: async () => ({ magic: this.magic, freeBytes: 0, totalBytes: 0 }),
    };
  }

  async #isOpen(fd: number): Promise<boolean> {
    const { ino } = await bigStat(fd, { bigint: true });
    const inodes = await Promise.all(
      [...this.open].map(async path => (await stat(path, { bigint: true })).ino),
    );
    return inodes.includes(ino);
  }

  #journal(): FenceJournal {
    return {
      find: async ({ migration, incarnation }) => this.records.get(`${migration} ${incarnation}`),
      put: async record => {
        this.records.set(`${record.migration} ${record.incarnation}`, structuredClone(record));
      },
    };
  }

  #crashing<T extends object>(name: string, edge: T): T {
    return new Proxy(edge, {
      get: (target, key, receiver) => {
        const method: unknown = Reflect.get(target, key, receiver);
        if (typeof method !== "function") return method;
        return async (...args: unknown[]) => {
          const call = this.calls.push(`${name}.${String(key)}`) - 1;
          if (call === this.crashAt) throw new Crash();
          const result: unknown = await method.apply(target, args);
          if (call + 0.5 === this.crashAt) throw new Crash();
          return result;
        };
      },
    });
  }
}

const bigStat = promisify(fstat) as (
  fd: number,
  options: { bigint: true },
) => Promise<import("node:fs").BigIntStats>;
