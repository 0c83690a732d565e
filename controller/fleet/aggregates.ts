/**
 * Host aggregates, as Nova has them: names are unique, a host may be in several but in one availability zone only, and
 * an aggregate with hosts is not deleted. A change that would take a server out of the zone that it was asked into is
 * refused, because no later move could keep that promise.
 */

import { Fault } from "../../proto/fault.js";
import type { Aggregate, AvailabilityZone } from "../../proto/gen/ferry/v1/placement.js";
import type { Clock } from "../clock.js";
import {
  addAggregateHost,
  DEFAULT_ZONE,
  deleteAggregate,
  findAggregate,
  insertAggregate,
  listAggregates,
  removeAggregateHost,
  updateAggregate,
  zoneOf,
  zonesByHost,
} from "../store/aggregates.js";
import { knownHost, listHosts } from "../store/hosts.js";
import type { Queries } from "../store/schema.js";
import { pinnedServersOn } from "../store/servers.js";
import type { Transactions } from "../store/store.js";

interface Dependencies {
  readonly store: Transactions;
  readonly clock: Clock;
  readonly newId: () => string;
  /** Up and enabled. */
  readonly isAvailable: (host: string) => Promise<boolean>;
}

export interface AggregateChange {
  readonly name?: string | undefined;
  /** Empty: no zone any more. */
  readonly availabilityZone?: string | undefined;
}

export class Aggregates {
  readonly #deps: Dependencies;

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  list(): Promise<Aggregate[]> {
    return listAggregates(this.#deps.store.queries);
  }

  /** By name or id. */
  show(nameOrId: string): Promise<Aggregate> {
    return findAggregate(this.#deps.store.queries, nameOrId);
  }

  async create(
    name: string,
    availabilityZone: string,
    metadata: Readonly<Record<string, string>> = {},
  ): Promise<Aggregate> {
    refuseName("an aggregate", name);
    refuseZone(availabilityZone);
    const { clock, newId, store } = this.#deps;
    const nowMs = clock.nowMs();
    const fresh = { uuid: newId(), createdAtMs: nowMs, updatedAtMs: nowMs, metadata: { ...metadata } };
    const id = await store.transaction(queries =>
      insertAggregate(queries, { ...fresh, name, availabilityZone }),
    );
    return this.show(String(id));
  }

  async update(nameOrId: string, { name, availabilityZone }: AggregateChange): Promise<Aggregate> {
    if (name !== undefined) refuseName("an aggregate", name);
    if (availabilityZone !== undefined) refuseZone(availabilityZone);
    return this.#change(nameOrId, async (queries, aggregate) => {
      if (availabilityZone !== undefined && availabilityZone !== aggregate.availabilityZone) {
        for (const host of aggregate.hosts) {
          await refuseSecondZone(queries, host, availabilityZone, aggregate);
          await refuseLeavingZone(queries, host, availabilityZone || DEFAULT_ZONE);
        }
      }
      await updateAggregate(
        queries,
        aggregate,
        {
          ...(name === undefined ? {} : { name }),
          ...(availabilityZone === undefined ? {} : { availabilityZone }),
        },
        this.#deps.clock.nowMs(),
      );
    });
  }

  /** `availability_zone` is metadata too, as in Nova. */
  async setMetadata(
    nameOrId: string,
    set: Readonly<Record<string, string>>,
    unset: readonly string[] = [],
  ): Promise<Aggregate> {
    const { availability_zone: zone, ...rest } = set;
    const newZone = zone ?? (unset.includes("availability_zone") ? "" : undefined);
    if (newZone !== undefined) await this.update(nameOrId, { availabilityZone: newZone });
    return this.#change(nameOrId, (queries, aggregate) => {
      const kept = Object.entries(aggregate.metadata).filter(([key]) => !unset.includes(key));
      const metadata = { ...Object.fromEntries(kept), ...rest };
      return updateAggregate(queries, aggregate, { metadata }, this.#deps.clock.nowMs());
    });
  }

  async addHost(nameOrId: string, host: string): Promise<Aggregate> {
    return this.#change(nameOrId, async (queries, aggregate) => {
      await knownHost(queries, host);
      if (aggregate.hosts.includes(host)) {
        throw new Fault("already-exists", `Aggregate ${aggregate.name} already has host ${host}.`);
      }
      if (aggregate.availabilityZone !== "") {
        await refuseSecondZone(queries, host, aggregate.availabilityZone, aggregate);
        await refuseLeavingZone(queries, host, aggregate.availabilityZone);
      }
      await addAggregateHost(queries, aggregate.id, host);
    });
  }

  async removeHost(nameOrId: string, host: string): Promise<Aggregate> {
    return this.#change(nameOrId, async (queries, aggregate) => {
      if (!aggregate.hosts.includes(host)) {
        throw new Fault("not-found", `Aggregate ${aggregate.name} has no host ${host}.`);
      }
      if (aggregate.availabilityZone !== "") await refuseLeavingZone(queries, host, DEFAULT_ZONE);
      await removeAggregateHost(queries, aggregate.id, host);
    });
  }

  async delete(nameOrId: string): Promise<void> {
    await this.#deps.store.transaction(async queries => {
      const { id, name, hosts } = await findAggregate(queries, nameOrId);
      if (hosts.length > 0) {
        throw new Fault(
          "invalid-argument",
          `Cannot remove aggregate ${name}. Reason: Host aggregate is not empty.`,
          {
            have: hosts.join(", "),
            fix: `ferry aggregate remove host ${name} HOST for each`,
          },
        );
      }
      await deleteAggregate(queries, id);
    });
  }

  /** Puts a host into the aggregate that has the zone's name, made for the purpose; empty: into no zone. */
  async setZone(host: string, zone: string): Promise<void> {
    refuseZone(zone);
    const { queries } = this.#deps.store;
    const present = (await listAggregates(queries)).find(
      ({ availabilityZone, hosts }) => availabilityZone !== "" && hosts.includes(host),
    );
    if (present?.availabilityZone === zone || (present === undefined && zone === "")) return;
    if (present !== undefined && present.name !== present.availabilityZone) {
      throw new Fault(
        "conflict",
        `host ${host} is in zone ${present.availabilityZone} by aggregate ${present.name}`,
        {
          fix: `ferry aggregate remove host ${present.name} ${host}`,
        },
      );
    }
    await refuseLeavingZone(queries, host, zone || DEFAULT_ZONE);
    const target = zone === "" ? undefined : await this.#zoneAggregate(zone);
    await this.#deps.store.transaction(async tx => {
      if (present !== undefined) await removeAggregateHost(tx, present.id, host);
      if (target !== undefined) await addAggregateHost(tx, target.id, host);
    });
  }

  /** With the hosts of each, the default zone included if a host is in it. */
  async zones(): Promise<AvailabilityZone[]> {
    const { store, isAvailable } = this.#deps;
    const zones = await zonesByHost(store.queries);
    const names = (await listHosts(store.queries)).map(({ name }) => name);
    const byZone = Map.groupBy(names, name => zones.get(name) ?? DEFAULT_ZONE);
    const answers = [...byZone].map(async ([name, hosts]) => {
      const available = (await Promise.all(hosts.map(isAvailable))).includes(true);
      return { name, hosts, available };
    });
    return (await Promise.all(answers)).sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  async #zoneAggregate(zone: string): Promise<Aggregate> {
    const known = (await this.list()).find(({ name }) => name === zone);
    if (known === undefined) return this.create(zone, zone);
    if (known.availabilityZone === zone) return known;
    throw new Fault("conflict", `aggregate ${zone} is not of the zone of that name`, {
      have: known.availabilityZone === "" ? "no zone" : `zone ${known.availabilityZone}`,
      fix: `ferry aggregate add host AGGREGATE HOST, with an aggregate of zone ${zone}`,
    });
  }

  async #change(
    nameOrId: string,
    change: (queries: Queries, aggregate: Aggregate) => Promise<void>,
  ): Promise<Aggregate> {
    return this.#deps.store.transaction(async queries => {
      const aggregate = await findAggregate(queries, nameOrId);
      await change(queries, aggregate);
      return findAggregate(queries, String(aggregate.id));
    });
  }
}

const NAME = /^[^\p{Cc}]{1,255}$/u;

export function refuseName(what: string, name: string): void {
  if (NAME.test(name) && name.trim() === name) return;
  throw new Fault("invalid-argument", `${what} needs a name`, {
    need: "1 to 255 characters, no space at the ends",
  });
}

function refuseZone(zone: string): void {
  if (zone === "" || (zone.length <= 255 && !/[:\p{Cc}]/u.test(zone))) return;
  throw new Fault("invalid-argument", `${JSON.stringify(zone)} is no name for an availability zone`, {
    need: "at most 255 characters, without a colon",
  });
}

/** A host is in one zone. */
async function refuseSecondZone(
  queries: Queries,
  host: string,
  zone: string,
  { id, name }: Aggregate,
): Promise<void> {
  const other = (await listAggregates(queries)).find(
    aggregate =>
      aggregate.id !== id &&
      aggregate.hosts.includes(host) &&
      aggregate.availabilityZone !== "" &&
      zone !== "" &&
      aggregate.availabilityZone !== zone,
  );
  if (other === undefined) return;
  throw new Fault(
    "conflict",
    `Cannot add host to aggregate ${name}. Reason: One or more hosts already in different availability zone(s).`,
    {
      have: `${host} is in zone ${other.availabilityZone} by aggregate ${other.name}`,
      need: `a host that is in no zone, or in ${zone}`,
      fix: `ferry aggregate remove host ${other.name} ${host}`,
    },
  );
}

async function refuseLeavingZone(queries: Queries, host: string, newZone: string): Promise<void> {
  if ((await zoneOf(queries, host)) === newZone) return;
  const pinned = (await pinnedServersOn(queries, host)).filter(server => server.zone !== newZone);
  const [first] = pinned;
  if (first === undefined) return;
  throw new Fault("conflict", "One or more hosts contain instances in this zone", {
    have: `${pinned.length} servers on ${host} were asked into zone ${first.zone}, one is ${first.name}`,
    fix: "migrate them to another host of their zone first",
  });
}
