/**
 * Reads the hosts for a decision. Whatever the scheduler can see of a host raises the host's generation, so one small
 * query says which hosts have to be read again; all others are as they were. That holds with several controllers on
 * one database too, and needs nobody to tell this one. A decision is advice all the same: the claim decides.
 */

import { HostHardware } from "../../proto/gen/ferry/v1/host.js";
import type { Inventory } from "../../proto/gen/ferry/v1/model.js";
import { hardwareTraits } from "../fleet/hardware-traits.js";
import { freeOf } from "../placement/shortage.js";
import { aggregatesByHost, DEFAULT_ZONE, type HostAggregate } from "../store/aggregates.js";
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

/** Hosts that are read by one query; databases limit the number of parameters. */
const HOSTS_AT_ONCE = 500;

export class HostStates {
  readonly #deps: Dependencies;
  /** By name; the generations that they were read at are beside them, in the same order. */
  #hosts: readonly HostState[] = [];
  #generations: readonly Generation[] = [];

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  /** All of them, by name. */
  async read(): Promise<readonly HostState[]> {
    const { queries, stateOf } = this.#deps;
    const present = await generationsOfHosts(queries);
    await this.#follow(present);
    const busy = await this.#ioOperations();
    for (const host of this.#hosts) {
      host.state = stateOf(host.name);
      host.ioOperations = busy.get(host.name) ?? 0;
    }
    return this.#hosts;
  }

  async #follow(present: readonly Generation[]): Promise<void> {
    const [hosts, known] = [this.#hosts, this.#generations];
    const isSameFleet =
      present.length === known.length && present.every(({ name }, index) => known[index]?.name === name);
    const changed: string[] = [];
    present.forEach(({ name, generation }, index) => {
      if (!isSameFleet || known[index]?.generation !== generation) changed.push(name);
    });
    if (changed.length === 0) return;
    const fresh = new Map((await this.#readAll(changed)).map(host => [host.name, host]));
    // Of two readings at once the later answer stays. If it is the older one, the next reading corrects it.
    this.#hosts = present.flatMap(({ name }, index) => fresh.get(name) ?? hosts[index] ?? []);
    this.#generations = present;
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
  readonly aggregates: readonly HostAggregate[];
}

export function hostState(row: HostRow, { inventories, servers, aggregates }: Around): HostState {
  const hardware =
    row.hardware === "" ? undefined : HostHardware.fromJSON(JSON.parse(row.hardware) as unknown);
  const free = new Map(inventories.map(inventory => [inventory.resourceClass, freeOf(inventory)]));
  const metadata = metadataOf(aggregates);
  return {
    name: row.name,
    status: row.status,
    disabledReason: row.disabled_reason,
    problem: row.quarantine || row.hook_problem,
    inventories,
    free,
    freeVcpus: free.get("VCPU") ?? 0,
    freeRamMib: free.get("MEMORY_MB") ?? 0,
    freeDiskGib: free.get("DISK_GB") ?? 0,
    traits: new Set([...(JSON.parse(row.traits) as string[]), ...hardwareTraits(hardware)]),
    zone:
      aggregates.find(({ availabilityZone }) => availabilityZone !== "")?.availabilityZone ?? DEFAULT_ZONE,
    metadata,
    hasOwnMultipliers: [...metadata.keys()].some(key => key.endsWith("_weight_multiplier")),
    servers,
    hardware,
    state: "unknown",
    ioOperations: 0,
  };
}

function metadataOf(aggregates: readonly HostAggregate[]): Map<string, Set<string>> {
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
