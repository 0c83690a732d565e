/**
 * A small datacenter to test in: a real store in memory, the real fleet, migrations and servers, fake agents and
 * virtual time. One server, `web`, runs on h1 with two disks; h2 and h3 have room.
 *
 * The safety invariant (at most one host where the server could run) is checked after every effect at any agent.
 */

import { sql } from "kysely";
import { Fleet } from "../../controller/fleet/fleet.js";
import type { MigrationDependencies } from "../../controller/migration/dependencies.js";
import { Migrations } from "../../controller/migration/migrations.js";
import { Servers } from "../../controller/migration/servers.js";
import { DEFAULT_SETTINGS, type MigrationSettings } from "../../controller/migration/settings.js";
import { HostStates } from "../../controller/scheduler/host-states.js";
import { Scheduler } from "../../controller/scheduler/scheduler.js";
import { DEFAULT_SCHEDULER_SETTINGS } from "../../controller/scheduler/settings.js";
import { listAllocations } from "../../controller/store/allocations.js";
import { eventsAfter } from "../../controller/store/events.js";
import { insertFlavor } from "../../controller/store/flavors.js";
import { NO_HINTS } from "../../controller/store/hints.js";
import { Store } from "../../controller/store/store.js";
import { HeartbeatRequest } from "../../proto/gen/ferry/v1/controller.js";
import { Flavor, type Migration, type Server } from "../../proto/gen/ferry/v1/model.js";
import { FakeFleet } from "./fake-agent.js";
import type { FakeHost } from "./fake-host.js";
import { Life } from "./mortal.js";
import { VirtualClock } from "./virtual-clock.js";

export const WEB = "web";
const HOSTS = ["h1", "h2", "h3"];
/** Larger than `web` is in everything. */
export const LARGE = Flavor.fromPartial({
  id: "large",
  name: "m1.large",
  vcpus: 2,
  ramMib: 1024,
  rootGib: 2,
});
const DISKS = { "vda/0": "digest-of-root", "vdb/0": "digest-of-data" };

export interface Controller {
  readonly fleet: Fleet;
  readonly migrations: Migrations;
  readonly servers: Servers;
  readonly life: Life;
  readonly deps: MigrationDependencies;
}

/** What `move` does: the one saga, to the same flavor or another one, to another host or none. */
export type Kind = "migration" | "resize" | "same-host resize";

interface Options {
  readonly kind?: Kind;
  readonly settings?: Partial<MigrationSettings>;
  readonly isRunning?: boolean;
}

export class Datacenter {
  readonly clock = new VirtualClock();
  readonly agents = new FakeFleet(HOSTS, { nowMs: () => this.clock.nowMs() });
  /** Breaches of the safety invariant, with what led there. */
  readonly breaches: string[] = [];
  readonly bugs: unknown[] = [];
  /** Where the migrations stood that a controller has taken up from one that is gone. */
  readonly takenUp: string[] = [];
  /** Asked whenever time passes. */
  beforeEachLook: () => Promise<void> = async () => {};
  store: Store;
  readonly kind: Kind;
  readonly #settings: MigrationSettings;
  #controllers = 0;
  #ids = 0;
  #lastBeatMs = Number.NEGATIVE_INFINITY;
  controller: Controller;

  private constructor(store: Store, kind: Kind, settings: MigrationSettings) {
    this.store = store;
    this.kind = kind;
    this.#settings = settings;
    this.controller = this.#build(new Life());
    this.agents.afterEffect = () => this.#checkSafety();
  }

  static async open(options: Options = {}): Promise<Datacenter> {
    const { kind = "migration", settings = {}, isRunning = true } = options;
    const staysHere = kind === "same-host resize";
    const center = new Datacenter(await Store.open(":memory:"), kind, {
      ...DEFAULT_SETTINGS,
      allowResizeToSameHost: staysHere,
      ...settings,
    });
    const { host } = center.agents.agent("h1");
    const incarnation = `${WEB}:0`;
    host.domains.set(WEB, { incarnation, vcpus: 1, state: isRunning ? "RUNNING" : "SHUTDOWN" });
    for (const [id, digest] of Object.entries(DISKS)) {
      host.files.set(`${incarnation}/${id}`, {
        digest,
        path: `/images/${id.slice(0, 3)}.qcow2`,
        aside: false,
      });
    }
    await insertFlavor(center.store.queries, LARGE);
    await center.#beat();
    const adopted = { swapDisks: [], ephemeralDisks: [], dryRun: false, readOnlyDrives: "refuse" };
    await center.controller.servers.adopt({
      host: "h1",
      domain: WEB,
      maxDowntimeSeconds: 0,
      requestedBy: "test",
      ...adopted,
    });
    if (staysHere)
      for (const other of ["h2", "h3"]) await center.controller.fleet.setStatus(other, false, "test");
    return center;
  }

  /** A new controller on the same store, as after a restart. */
  async restart(life = new Life()): Promise<void> {
    this.controller = this.#build(life);
    await this.#beat();
    await this.controller.migrations.adoptOrphans();
    await this.controller.servers.adoptOrphans();
  }

  /** A copy of the database as it is now, for `restore`. */
  async backup(path: string): Promise<void> {
    await sql`VACUUM INTO ${path}`.execute(this.store.queries);
  }

  /** The database is replaced by an older copy of it, and the controller started on that. */
  async restore(path: string): Promise<void> {
    await this.close();
    this.store = await Store.open(path);
    await this.restart();
  }

  async close(): Promise<void> {
    await this.controller.migrations.close();
    await this.store.close();
  }

  /** Starts a migration of `web`; to the scheduler's choice when no host is named. */
  async migrate(host = "h2"): Promise<Migration> {
    const { migration } = await this.controller.migrations.migrate({
      server: WEB,
      host,
      requestedBy: "test",
    });
    if (migration === undefined) throw new Error("no migration");
    return migration;
  }

  /** To its target, as a datacenter of this kind does it. */
  move(): Promise<Migration> {
    return this.kind === "migration" ? this.migrate() : this.resize();
  }

  /** Where `move` brings the server. */
  get targetHost(): string {
    return this.kind === "same-host resize" ? "h1" : "h2";
  }

  addFlavor(flavor: Flavor): Promise<void> {
    return insertFlavor(this.store.queries, flavor);
  }

  /** Starts a resize of `web` to the large flavor, on the scheduler's choice. */
  async resize(): Promise<Migration> {
    const { migration } = await this.controller.migrations.resize({
      server: WEB,
      flavor: LARGE.name,
      requestedBy: "test",
    });
    if (migration === undefined) throw new Error("no migration");
    return migration;
  }

  server(): Promise<Server> {
    return this.controller.servers.show(WEB);
  }

  async migration(): Promise<Migration> {
    const [newest] = await this.controller.migrations.list({ limit: 1 });
    if (newest === undefined) throw new Error("no migration yet");
    return newest;
  }

  /** Until the migration is finished, ended or stuck. */
  async rest(): Promise<Migration> {
    await this.passTime(async () => {
      const { endedAtMs, status } = await this.migration();
      return endedAtMs > 0 || status === "finished" || status === "stuck";
    });
    return this.migration();
  }

  async ended(): Promise<Migration> {
    await this.passTime(async () => (await this.migration()).endedAtMs > 0);
    return this.migration();
  }

  /** Lets time pass, heartbeats included, until the condition holds. */
  passTime(condition: () => boolean | Promise<boolean>): Promise<boolean> {
    return this.clock.until(async () => {
      await this.beforeEachLook();
      if (await condition()) return true;
      if (this.clock.monotonicMs() - this.#lastBeatMs >= 5_000) await this.#beat();
      return false;
    });
  }

  /** Time in which nothing waits for anything, heartbeats included. */
  async elapse(durationMs: number): Promise<void> {
    this.clock.advance(durationMs);
    await this.#beat();
  }

  async events(): Promise<string[]> {
    const { id } = await this.migration();
    return (await eventsAfter(this.store.queries, id, 0)).map(event => event.text);
  }

  /** `web on h1: VCPU 1`, one line per booking. */
  async allocations(): Promise<string[]> {
    const all = await listAllocations(this.store.queries);
    return all.map(
      ({ consumerKind, host, resourceClass, amount }) =>
        `${consumerKind} on ${host}: ${resourceClass} ${amount}`,
    );
  }

  /** Digests by file id of the one host where the server is the agent's own; the test of "disks intact". */
  disksOn(name: string): Record<string, string> {
    const { host, journal } = this.agents.agent(name);
    const { incarnation } = journal.guest(WEB);
    const files = host.filesOf(incarnation).filter(([, file]) => !file.aside);
    return Object.fromEntries(files.map(([key, { digest }]) => [key.slice(key.indexOf("/") + 1), digest]));
  }

  get originalDisks(): Record<string, string> {
    return DISKS;
  }

  #build(life: Life): Controller {
    this.#controllers += 1;
    const store = life.store(this.store);
    const fleet = new Fleet({ store: this.store, clock: this.clock });
    const deps: MigrationDependencies = {
      store,
      hints: NO_HINTS,
      fleet,
      scheduler: this.#scheduler(fleet),
      agent: life.agent(this.agents),
      clock: this.clock,
      random: () => 0.5,
      newId: () => `id-${++this.#ids}`,
      settings: this.#settings,
      owner: `controller-${this.#controllers}`,
      onBug: error => this.bugs.push(error),
      onLine: () => undefined,
      onTakenUp: (_migration, { phase }) => this.takenUp.push(phase),
    };
    const migrations = new Migrations(deps);
    return { fleet, migrations, servers: new Servers(deps, migrations), life, deps };
  }

  #scheduler(fleet: Fleet): Scheduler {
    const { queries } = this.store;
    const hosts = new HostStates({ queries, stateOf: host => fleet.stateOf(host) });
    return new Scheduler({ queries, hosts, settings: DEFAULT_SCHEDULER_SETTINGS, random: () => 0 });
  }

  async #beat(): Promise<void> {
    this.#lastBeatMs = this.clock.monotonicMs();
    for (const [name, { isReachable }] of this.agents.agents) {
      if (isReachable) await this.controller.fleet.heartbeat(this.#reportOf(name));
    }
  }

  #reportOf(name: string): HeartbeatRequest {
    const { host, journal } = this.agents.agent(name);
    const guests = [...journal.guests];
    const epochs = Object.fromEntries(guests.map(([id, { epoch }]) => [id, epoch]));
    const domains = guests.map(([serverId, { role, epoch }]) => {
      const powerState = host.domains.get(serverId)?.state ?? "absent";
      return { serverId, role, epoch, powerState, ioError: false };
    });
    return { ...heartbeatOf(name), domains, epochs };
  }

  #checkSafety(): void {
    const able = [...this.agents.agents.values()].filter(
      ({ host }) => host.isRunnable(WEB) || (host.domains.get(WEB)?.state ?? "SHUTDOWN") !== "SHUTDOWN",
    );
    const after = `after ${this.agents.calls.slice(-5).join(", ")}`;
    if (able.length > 1) this.breaches.push(`${able.map(({ host }) => host.name).join(" and ")} ${after}`);
    for (const { host } of this.agents.agents.values())
      for (const path of sharedPaths(host))
        this.breaches.push(`two files are ${path} on ${host.name} ${after}`);
  }
}

/** No two incarnations may have their disks under the same names at the same time. */
function sharedPaths({ files }: FakeHost): string[] {
  const paths = [...files.values()].filter(({ aside }) => !aside).map(({ path }) => path);
  return paths.filter((path, index) => paths.indexOf(path) !== index);
}

function heartbeatOf(host: string): HeartbeatRequest {
  const inventory = (resourceClass: string, total: number) => ({
    resourceClass,
    total,
    reserved: 0,
    allocationRatio: 1,
    used: 0,
  });
  const inventories = [
    inventory("VCPU", 4),
    inventory("MEMORY_MB", 4096),
    inventory("DISK_GB", 100),
    inventory("PCPU", 2),
    inventory("CUSTOM_HUGEPAGES_2MB", 128),
    inventory("CUSTOM_PCI_NIC", 2),
  ];
  return HeartbeatRequest.fromPartial({ host, address: `${host}:1`, installId: host, inventories });
}
