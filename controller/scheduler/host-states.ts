/**
 * Reads the hosts for a decision. Whatever the scheduler can see of a host raises the host's generation, so one small
 * query says which hosts have to be read again; all others are as they were. That holds with several controllers on
 * one database too, and needs nobody to tell this one. A decision is advice all the same: the claim decides.
 */

import { aggregatesByHost } from "../store/aggregates.js";
import { serversByHost } from "../store/allocations.js";
import { generationsOfHosts, readHosts } from "../store/hosts.js";
import { bookedInventories } from "../store/inventories.js";
import { listTransferringHosts } from "../store/migrations.js";
import type { Queries } from "../store/schema.js";
import { countBusyServersByHost } from "../store/servers.js";
import { type HostState, hostState } from "./host-state.js";
import { InCommon } from "./in-common.js";

interface Dependencies {
  readonly queries: Queries;
  readonly stateOf: (host: string) => string;
}

/** Hosts that are read by one query; databases limit the number of parameters. */
const HOSTS_AT_ONCE = 500;

export class HostStates {
  readonly #deps: Dependencies;
  readonly #common = new InCommon();
  /** By name. */
  #hosts: readonly HostState[] = [];

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  /** All of them, by name. */
  async read(): Promise<readonly HostState[]> {
    const { queries, stateOf } = this.#deps;
    await this.#follow(await generationsOfHosts(queries));
    const busy = await this.#ioOperations();
    const hosts = this.#hosts;
    for (const host of hosts) {
      host.state = host.isForcedDown ? "down" : stateOf(host.name);
      host.ioOperations = busy.get(host.name) ?? 0;
    }
    return hosts;
  }

  async #follow(present: readonly Generation[]): Promise<void> {
    const knownAt = this.#known();
    const hosts = present.map(({ name }, index) => knownAt(index, name));
    const changed = new Map<string, number>();
    present.forEach(({ name, generation }, index) => {
      if (hosts[index]?.generation !== generation) changed.set(name, index);
    });
    for (const host of await this.#readAll([...changed.keys()])) {
      const index = changed.get(host.name);
      if (index !== undefined) hosts[index] = host;
    }
    // Of two readings at once the later answer stays. If it is the older one, the next reading corrects it.
    this.#hosts = hosts.filter(host => host !== undefined);
  }

  /** Hosts are where they were, unless some have come; then they are found by name. */
  #known(): (index: number, name: string) => HostState | undefined {
    const known = this.#hosts;
    let byName: Map<string, HostState> | undefined;
    return (index, name) => {
      if (known[index]?.name === name) return known[index];
      byName ??= new Map(known.map(host => [host.name, host]));
      return byName.get(name);
    };
  }

  async #readAll(names: readonly string[]): Promise<HostState[]> {
    const hosts: HostState[] = [];
    for (let first = 0; first < names.length; first += HOSTS_AT_ONCE)
      hosts.push(...(await this.#readSome(names.slice(first, first + HOSTS_AT_ONCE))));
    return hosts;
  }

  async #readSome(names: readonly string[]): Promise<HostState[]> {
    const { queries } = this.#deps;
    const [rows, inventories] = [await readHosts(queries, names), await bookedInventories(queries, names)];
    const [servers, aggregates] = [
      await serversByHost(queries, names),
      await aggregatesByHost(queries, names),
    ];
    return rows.map(row => {
      const around = {
        inventories: inventories.get(row.name) ?? [],
        servers: servers.get(row.name) ?? new Set<string>(),
        aggregates: aggregates.get(row.name) ?? [],
      };
      return hostState(row, around, this.#common);
    });
  }

  /** Nova counts a server where it is at home; one that is being copied loads its target as much. */
  async #ioOperations(): Promise<Map<string, number>> {
    const { queries } = this.#deps;
    const busy = await countBusyServersByHost(queries);
    for (const host of await listTransferringHosts(queries)) busy.set(host, (busy.get(host) ?? 0) + 1);
    return busy;
  }
}

interface Generation {
  readonly name: string;
  readonly generation: number;
}
