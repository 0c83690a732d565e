/**
 * Many servers on a few fake hosts: a real store, the real migrations, and agents that take their time over a copy. Counts
 * who copies at the same moment, and keeps every watcher's stream.
 */

import { Fleet } from "../../controller/fleet/fleet.js";
import type { MigrationDependencies } from "../../controller/migration/dependencies.js";
import { Migrations } from "../../controller/migration/migrations.js";
import { Servers } from "../../controller/migration/servers.js";
import { DEFAULT_SETTINGS, type MigrationSettings } from "../../controller/migration/settings.js";
import { HostStates } from "../../controller/scheduler/host-states.js";
import { Scheduler } from "../../controller/scheduler/scheduler.js";
import { DEFAULT_SCHEDULER_SETTINGS } from "../../controller/scheduler/settings.js";
import { NO_HINTS } from "../../controller/store/hints.js";
import { Store } from "../../controller/store/store.js";
import { HeartbeatRequest } from "../../proto/gen/ferry/v1/controller.js";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { FakeFleet } from "../simulation/fake-agent.js";
import { VirtualClock } from "../simulation/virtual-clock.js";

export interface CrowdOptions {
  readonly hosts: number;
  readonly servers: number;
  readonly settings?: Partial<MigrationSettings>;
  readonly copyMs?: number;
}

const BEAT_MS = 5_000;

/** A controller from its start to its end. */
interface Life {
  readonly fleet: Fleet;
  readonly migrations: Migrations;
  readonly servers: Servers;
  readonly stop: AbortController;
}

export class Crowd {
  readonly clock = new VirtualClock();
  readonly hosts: readonly string[];
  readonly bugs: unknown[] = [];
  /** The most that copied at once: at any host, and in all. */
  readonly most = { atHost: 0, total: 0 };
  readonly #agents: FakeFleet;
  readonly #store: Store;
  readonly #options: CrowdOptions;
  readonly #copying = new Map<string, number>();
  #life: Life;
  #lives = 0;
  #ids = 0;
  #beatMs = Number.NEGATIVE_INFINITY;

  private constructor(store: Store, options: CrowdOptions) {
    this.#store = store;
    this.#options = options;
    this.hosts = Array.from({ length: options.hosts }, (_, index) => `h${index + 1}`);
    this.#agents = new FakeFleet(this.hosts, { nowMs: () => this.clock.nowMs() });
    this.#takeTime();
    this.#life = this.#begin();
  }

  /** Every server is on its host: the first on h1, the next on h2, and so on. */
  static async open(options: CrowdOptions): Promise<Crowd> {
    const crowd = new Crowd(await Store.open(":memory:"), options);
    await crowd.#beat();
    for (let index = 0; index < options.servers; index += 1) await crowd.#adopt(index);
    return crowd;
  }

  get migrations(): Migrations {
    return this.#life.migrations;
  }

  /** So many hosts further on. */
  async migrate(index: number, further: number, priority = 0): Promise<string> {
    const host = this.hosts[(index + further) % this.hosts.length] ?? "";
    const asked = { server: `s${index}`, host, priority, requestedBy: "test" };
    const { migration } = await this.migrations.migrate(asked);
    return migration?.id ?? "";
  }

  /** The controller ends, and another one begins on the same store; how many migrations it went on with. */
  async restart(): Promise<number> {
    await this.#end();
    this.#life = this.#begin();
    await this.#beat();
    return this.migrations.adoptOrphans();
  }

  list(): Promise<Migration[]> {
    return this.migrations.list({ limit: 10_000 }, { brief: true });
  }

  /** Until the condition holds, which is looked at once in a second of virtual time. */
  async until(condition: (all: readonly Migration[]) => boolean): Promise<boolean> {
    let lookedMs = Number.NEGATIVE_INFINITY;
    return this.clock.until(async () => {
      const nowMs = this.clock.monotonicMs();
      if (nowMs - this.#beatMs >= BEAT_MS) await this.#beat();
      if (nowMs - lookedMs < 1_000) return false;
      lookedMs = nowMs;
      return condition(await this.list());
    }, MOST_TURNS);
  }

  async close(): Promise<void> {
    await this.#end();
    await this.#store.close();
  }

  async #end(): Promise<void> {
    this.#life.stop.abort();
    await this.#life.servers.close();
    await this.#life.migrations.close();
  }

  #begin(): Life {
    this.#lives += 1;
    const { queries } = this.#store;
    const fleet = new Fleet({ store: this.#store, clock: this.clock });
    const hosts = new HostStates({ queries, stateOf: host => fleet.stateOf(host) });
    const settings = DEFAULT_SCHEDULER_SETTINGS;
    const deps: MigrationDependencies = {
      store: this.#store,
      hints: NO_HINTS,
      fleet,
      scheduler: new Scheduler({ queries, hosts, settings, random: () => 0 }),
      agent: this.#agents,
      clock: this.clock,
      random: () => 0.5,
      newId: () => `id-${String(++this.#ids).padStart(6, "0")}`,
      settings: { ...DEFAULT_SETTINGS, ...this.#options.settings },
      owner: `controller-${this.#lives}`,
      onBug: error => this.bugs.push(error),
      onLine: () => undefined,
      onTakenUp: () => undefined,
    };
    const migrations = new Migrations(deps);
    const stop = new AbortController();
    void migrations.followTurns(stop.signal);
    return { fleet, migrations, servers: new Servers(deps, migrations), stop };
  }

  async #adopt(index: number): Promise<void> {
    const [name, host] = [`s${index}`, this.hosts[index % this.hosts.length] ?? ""];
    const machine = this.#agents.agent(host).host;
    const incarnation = `${name}:0`;
    machine.domains.set(name, { incarnation, vcpus: 1, state: "RUNNING" });
    const file = { digest: `digest of ${name}`, path: `/images/${name}.qcow2`, aside: false };
    machine.files.set(`${incarnation}/vda/0`, file);
    const nothing = { swapDisks: [], ephemeralDisks: [], dryRun: false, readOnlyDrives: "refuse" };
    const asked = { host, domain: name, maxDowntimeSeconds: 0, requestedBy: "test" };
    await this.#life.servers.adopt({ ...asked, ...nothing });
  }

  /** A copy takes a while, and is counted at both of its hosts. */
  #takeTime(): void {
    const perform = this.#agents.perform.bind(this.#agents);
    this.#agents.perform = async (host, request, options) => {
      if (request.verb?.$case !== "sendDisks") return perform(host, request, options);
      const ends = [host, request.verb.value.targetHost];
      for (const end of ends) this.#count(end, 1);
      this.most.total = Math.max(
        this.most.total,
        [...this.#copying.values()].reduce((sum, one) => sum + one, 0) / 2,
      );
      try {
        await this.clock.sleep(this.#options.copyMs ?? 10_000, options.signal);
        return await perform(host, request, options);
      } finally {
        for (const end of ends) this.#count(end, -1);
      }
    };
  }

  #count(host: string, change: number): void {
    const now = (this.#copying.get(host) ?? 0) + change;
    this.#copying.set(host, now);
    this.most.atHost = Math.max(this.most.atHost, now);
  }

  async #beat(): Promise<void> {
    this.#beatMs = this.clock.monotonicMs();
    for (const host of this.hosts) await this.#life.fleet.heartbeat(heartbeatOf(host));
  }
}

const MOST_TURNS = 1_000_000;

function heartbeatOf(host: string): HeartbeatRequest {
  const inventories = ["VCPU", "MEMORY_MB", "DISK_GB"].map(resourceClass => ({
    resourceClass,
    total: 1_000_000,
    reserved: 0,
    allocationRatio: 1,
    used: 0,
  }));
  return HeartbeatRequest.fromPartial({ host, address: `${host}:1`, installId: host, inventories });
}
