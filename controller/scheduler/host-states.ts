/**
 * Reads the hosts for a decision. Whatever the scheduler can see of a host raises the host's generation, so one small
 * query says which hosts have to be read again; all others are as they were. That holds with several controllers on
 * one database too, and needs nobody to tell this one. A decision is advice all the same: the claim decides.
 */

import { HostHardware } from "../../proto/gen/ferry/v1/host.js";
import type { Inventory } from "../../proto/gen/ferry/v1/model.js";
import type { Aggregate } from "../../proto/gen/ferry/v1/placement.js";
import { hardwareTraits } from "../fleet/hardware-traits.js";
import { freeOf } from "../placement/shortage.js";
import { DEFAULT_ZONE, listAggregates } from "../store/aggregates.js";
import { serversByHost } from "../store/allocations.js";
import { generationsOfHosts, type HostRow, readHosts } from "../store/hosts.js";
import { bookedInventories } from "../store/inventories.js";
import { listTransferringHosts } from "../store/migrations.js";
import type { Queries } from "../store/schema.js";
import { countBusyServersByHost } from "../store/servers.js";
import type { HostState } from "./host-state.js";

interface Dependencies {
  readonly queries: Queries;
  readonly stateOf: (host: string) => string;
}

interface Known {
  readonly generation: number;
  readonly host: HostState;
}

/** Hosts that are read by one query; databases limit the number of parameters. */
const HOSTS_AT_ONCE = 500;

export class HostStates {
  readonly #deps: Dependencies;
  #known = new Map<string, Known>();
  #hosts: readonly HostState[] = [];

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  /** All of them, by name. */
  async read(): Promise<readonly HostState[]> {
    const { queries, stateOf } = this.#deps;
    const generations = await generationsOfHosts(queries);
    const changed = generations.filter(
      ({ name, generation }) => this.#known.get(name)?.generation !== generation,
    );
    if (changed.length > 0 || generations.length !== this.#known.size) {
      await this.#readAgain(generations, changed);
    }
    const busy = await this.#ioOperations();
    for (const host of this.#hosts) {
      host.state = stateOf(host.name);
      host.ioOperations = busy.get(host.name) ?? 0;
    }
    return this.#hosts;
  }

  async #readAgain(present: readonly Generation[], changed: readonly Generation[]): Promise<void> {
    const aggregates = await aggregatesByHost(this.#deps.queries);
    const fresh = new Map<string, HostState>();
    for (let first = 0; first < changed.length; first += HOSTS_AT_ONCE) {
      const names = changed.slice(first, first + HOSTS_AT_ONCE).map(({ name }) => name);
      for (const host of await this.#readSome(names, aggregates)) fresh.set(host.name, host);
    }
    const known = new Map<string, Known>();
    for (const { name, generation } of present) {
      const before = this.#known.get(name);
      const host = fresh.get(name);
      if (host !== undefined) known.set(name, { generation, host });
      else if (before !== undefined) known.set(name, before);
    }
    this.#known = known;
    this.#hosts = [...known.values()].map(({ host }) => host);
  }

  async #readSome(
    names: readonly string[],
    aggregates: ReadonlyMap<string, readonly Aggregate[]>,
  ): Promise<HostState[]> {
    const { queries } = this.#deps;
    const [rows, inventories, servers] = [
      await readHosts(queries, names),
      await bookedInventories(queries, names),
      await serversByHost(queries, names),
    ];
    return rows.map(row =>
      hostState(row, {
        inventories: inventories.get(row.name) ?? [],
        servers: servers.get(row.name) ?? new Set(),
        aggregates: aggregates.get(row.name) ?? [],
      }),
    );
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

interface Around {
  readonly inventories: readonly Inventory[];
  readonly servers: ReadonlySet<string>;
  readonly aggregates: readonly Aggregate[];
}

export function hostState(row: HostRow, { inventories, servers, aggregates }: Around): HostState {
  const hardware =
    row.hardware === "" ? undefined : HostHardware.fromJSON(JSON.parse(row.hardware) as unknown);
  return {
    name: row.name,
    status: row.status,
    disabledReason: row.disabled_reason,
    problem: row.quarantine || row.hook_problem,
    inventories,
    free: new Map(inventories.map(inventory => [inventory.resourceClass, freeOf(inventory)])),
    traits: new Set([...(JSON.parse(row.traits) as string[]), ...hardwareTraits(hardware)]),
    zone:
      aggregates.find(({ availabilityZone }) => availabilityZone !== "")?.availabilityZone ?? DEFAULT_ZONE,
    aggregates,
    metadata: metadataOf(aggregates),
    servers,
    hardware,
    state: "unknown",
    ioOperations: 0,
  };
}

function metadataOf(aggregates: readonly Aggregate[]): Map<string, Set<string>> {
  const metadata = new Map<string, Set<string>>();
  for (const aggregate of aggregates) {
    for (const [key, value] of Object.entries(aggregate.metadata)) {
      const values = metadata.get(key) ?? new Set<string>();
      for (const one of value.split(",")) values.add(one.trim());
      metadata.set(key, values);
    }
  }
  return metadata;
}

async function aggregatesByHost(queries: Queries): Promise<Map<string, Aggregate[]>> {
  const byHost = new Map<string, Aggregate[]>();
  for (const aggregate of await listAggregates(queries)) {
    for (const host of aggregate.hosts) {
      const list = byHost.get(host);
      if (list === undefined) byHost.set(host, [aggregate]);
      else list.push(aggregate);
    }
  }
  return byHost;
}
