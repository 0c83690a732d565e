/**
 * A host for tests of the agent's verbs: the real journal, guest files and disks in a temporary folder, a hypervisor
 * in memory, receipts signed with real certificates. What the data plane does is done by hand (`receive`).
 */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pino } from "pino";
import { parseAgentConfig } from "../../../agent/config.js";
import { factsAt } from "../../../agent/disk/file-identity.js";
import { guestFiles } from "../../../agent/fence/guest-file.js";
import { Journal } from "../../../agent/journal/journal.js";
import { nativeEngine } from "../../../agent/os/engine.js";
import type { Files } from "../../../agent/os/files.js";
import { TransferListener } from "../../../agent/transfer/target.js";
import { makeFolder, recordIncoming } from "../../../agent/verbs/incoming-artifacts.js";
import type { Call, World } from "../../../agent/verbs/verb.js";
import { createWorld } from "../../../agent/world.js";
import { Fault } from "../../../proto/fault.js";
import { type CopyReceipt, SourceManifest, type TargetPlan } from "../../../proto/gen/ferry/v1/agent.js";
import { plainFiles } from "../disk/plain-files.js";
import type { Certificates } from "../proto/certificates.js";
import { MemoryHypervisor } from "./memory-hypervisor.js";

export const SERVER = "11111111-2222-4333-8444-555555555555";
export const SOURCE = `${SERVER}/home/source/1`;
export const TARGET = `${SERVER}/m1/target/2`;

/** Of each fleet's hosts, made once. */
const IDENTITIES = new WeakMap<Certificates, Map<string, World["tls"]>>();

export interface Machine {
  /** The file primitives; Node's alone, unless the test brings the real ones. */
  readonly files?: Files;
  /** A captured tree in place of this machine's own. */
  readonly roots?: World["roots"];
  /** Lines for agent.toml. */
  readonly config?: string;
}

export class Host implements Disposable {
  readonly name: string;
  readonly root = mkdtempSync(join(tmpdir(), "ferry-host-"));
  readonly hypervisor = new MemoryHypervisor();
  world: World;
  /** Paths that another process has open. */
  readonly open = new Set<string>();
  readonly notes: string[] = [];
  hookProblem = "";
  isHookPending = false;
  nowMs = 0;
  readonly #tls: World["tls"];
  readonly #machine: Machine;
  #journal: Journal;

  private constructor(name: string, tls: World["tls"], machine: Machine) {
    this.name = name;
    this.#tls = tls;
    this.#machine = machine;
    for (const folder of ["state", "run", "images"]) mkdirSync(this.at(folder));
    writeFileSync(this.at("qemu"), "");
    // Stands for the journal's reserve, which takes its time to write.
    writeFileSync(this.at("state/reserve"), "");
    this.#journal = Journal.open(this.at("state"));
    this.world = this.#openWorld();
    this.hypervisor.hook = xml => this.#refusalOf(xml);
  }

  #openWorld(): World {
    const known = this.#machine.files ?? this.#files();
    const engine = nativeEngine();
    const log = pino({ enabled: false });
    const material = () => ({ ca: "", cert: "", key: "" });
    const world = createWorld({
      config: this.#config(),
      journal: this.#journal,
      hypervisor: this.hypervisor,
      files: known,
      engine,
      tls: this.#tls,
      log,
      transfer: new TransferListener({ tls: material, engine, files: known, clock: { nowMs: () => 0 }, log }),
      hook: {
        problem: () => this.hookProblem,
        isPending: () => this.isHookPending,
        require: () => this.#requireHook(),
      },
      bootId: "boot-1",
    });
    const { roots = world.roots } = this.#machine;
    const fence = { ...world.fence, findProcesses: async () => [] };
    return { ...world, roots, ...this.#clock(), fence };
  }

  /** The agent ends and comes back: all that it knows is in the journal. */
  restart(): void {
    this.#journal.close();
    this.#journal = Journal.open(this.at("state"));
    this.world = this.#openWorld();
  }

  static async make(name: string, certificates: Certificates, machine: Machine = {}): Promise<Host> {
    const known = IDENTITIES.get(certificates) ?? new Map<string, World["tls"]>();
    IDENTITIES.set(certificates, known);
    const tls = known.get(name) ?? (await certificates.tls({ kind: "agent", name }));
    known.set(name, tls);
    return new Host(name, tls, machine);
  }

  at(path: string): string {
    return join(this.root, path);
  }

  write(path: string, content: string): string {
    mkdirSync(dirname(this.at(path)), { recursive: true });
    writeFileSync(this.at(path), content);
    return this.at(path);
  }

  has(path: string): boolean {
    return existsSync(this.at(path));
  }

  read(path: string): string {
    return readFileSync(this.at(path), "utf8");
  }

  verdict() {
    return guestFiles(this.at("state")).read(SERVER);
  }

  get guest() {
    return this.world.guests.find(SERVER);
  }

  call(change: Partial<Call> = {}): Call {
    return {
      key: "k",
      serverId: SERVER,
      migrationId: "m1",
      epoch: 2,
      signal: new AbortController().signal,
      note: text => this.notes.push(text),
      progress: () => {},
      ...change,
    };
  }

  /** A running server at home here, as create or adopt leave it. */
  async settle({ xml = this.domainXml(), state = "running" as const } = {}): Promise<void> {
    this.write("images/web-3/disk", "the disk of web-3 ".repeat(1000));
    await this.hypervisor.define(xml);
    this.hypervisor.domains.set(SERVER, { xml, state, autostart: true });
    await this.world.fence.guestFiles.allow(SERVER, SOURCE);
    this.world.guests.update(SERVER, { name: "web-3", role: "active", incarnation: SOURCE, epoch: 1 });
  }

  domainXml({ incarnation = SOURCE, extra = "" } = {}): string {
    const mark =
      incarnation === ""
        ? ""
        : `<metadata><ferry:ferry xmlns:ferry="https://ferry.dev/xmlns/domain/1"><ferry:incarnation id="${incarnation}"/></ferry:ferry></metadata>`;
    return `<domain type="qemu"><name>web-3</name><uuid>${SERVER}</uuid>${mark}<memory unit="KiB">65536</memory><vcpu>1</vcpu><os><type arch="x86_64" machine="pc-q35-7.2">hvm</type></os><devices><emulator>${this.at("qemu")}</emulator><disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="${this.at("images/web-3/disk")}"/><target dev="vda" bus="virtio"/></disk>${extra}</devices></domain>`;
  }

  /** What a source would say of the server of `settle`. */
  manifest(change: Partial<SourceManifest> = {}): SourceManifest {
    const path = this.at("images/web-3/disk");
    return SourceManifest.fromPartial({
      domainXml: this.domainXml(),
      powerState: "RUNNING",
      emulator: this.at("qemu"),
      machine: "pc-q35-7.2",
      arch: "x86_64",
      virtType: "qemu",
      memoryMib: 1,
      vcpus: 1,
      facts: { guestCpuXml: '<cpu mode="custom" match="exact"><model>qemu64</model></cpu>' },
      disks: [{ targetDev: "vda", role: "root", path, format: "raw" }],
      files: [
        {
          id: "vda/0",
          path,
          relativePath: "web-3/disk",
          kind: "disk",
          mode: "copied",
          sizeBytes: 9,
          dataBytes: 9,
        },
      ],
      ...change,
    });
  }

  /** What receive-disks does, without the wire. */
  async receive(plan: TargetPlan, call = this.call()): Promise<void> {
    const files = plan.files.filter(({ mode }) => mode === "copied");
    for (const { path } of files) {
      await makeFolder(dirname(path), call, this.world);
      writeFileSync(path, "received");
      recordIncoming(path, await factsAt(this.world.files, path), call, this.world);
    }
    const copy: Partial<CopyReceipt> = { files: files.map(file => ({ ...line, id: file.id })) };
    this.world.documents.put(call.serverId, call.migrationId, "copy", copy);
  }

  [Symbol.dispose](): void {
    this.#journal.close();
    rmSync(this.root, { recursive: true });
  }

  #config() {
    const text = `${this.#machine.config ?? ""}
host = "${this.name}"
controller = "c:1"
listen = "${this.name}:1"
migration_address = "127.0.0.1"
state_dir = "${this.at("state")}"
run_dir = "${this.at("run")}"
image_dirs = ["${this.at("images")}"]
reserved_host_memory_mb = 0
reserved_host_disk_mb = 0
[tls]
ca = "/ca"
cert = "/cert"
key = "/key"
`;
    return parseAgentConfig(text, "test");
  }

  #requireHook(): void {
    if (this.hookProblem !== "") throw new Fault("refused", this.hookProblem);
  }

  #clock(): Pick<World, "monotonicMs" | "sleep" | "now"> {
    return {
      now: () => this.nowMs,
      monotonicMs: () => this.nowMs,
      sleep: async (durationMs, signal) => {
        signal.throwIfAborted();
        this.nowMs += durationMs;
      },
    };
  }

  #files(): Files {
    const isFree = async () => this.open.size === 0;
    const facts: Files["facts"] = async fd => {
      const known = await plainFiles.facts(fd);
      return { ...known, device: `0:${known.device}` };
    };
    return {
      ...plainFiles,
      facts,
      takeWriteLease: isFree,
      holdsWriteLease: isFree,
      takeQemuLock: async () => true,
    };
  }

  /** The libvirt hook's rule, for marked domains. */
  async #refusalOf(xml: string): Promise<string | undefined> {
    const marked = /incarnation id="([^"]*)"/.exec(xml)?.[1];
    const verdict = await this.verdict();
    if (verdict?.kind === "allow" && verdict.incarnation === marked) return undefined;
    return verdict === undefined && marked === undefined ? undefined : "ferry: refused to prepare";
  }
}

const line = {
  path: "",
  mode: "copied",
  sizeBytes: 9,
  dataBytes: 9,
  algorithm: "sha256",
  digest: "00",
  readBack: "",
  changes: [],
  atMs: 0,
};
