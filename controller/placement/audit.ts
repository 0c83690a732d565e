/**
 * Compares every booking with what servers and migrations there are, and corrects what is certain.
 *
 *   server, no open migration    holds its flavor on its host, and nothing else
 *   server, open migration       either that of its old flavor on the source (not booked yet, or taken back), or
 *                                the migration holds the source and the server the target
 *   anybody else                 is an orphan
 *
 * A server whose migration is open is reported and left alone: its saga moves the bookings itself. A server is booked
 * where it really is even if the host is full then, because the audit says what is, not what may be.
 */

import type { PlacementFinding } from "../../proto/gen/ferry/v1/placement.js";
import {
  type AllocationRecord,
  deleteAllocations,
  insertAllocations,
  listAllocations,
} from "../store/allocations.js";
import { raiseGenerations } from "../store/hosts.js";
import { bookedInventories } from "../store/inventories.js";
import { listMigrations, type MigrationRecord } from "../store/migrations.js";
import type { Queries } from "../store/schema.js";
import { listServers, type ServerRecord } from "../store/servers.js";
import type { Transactions } from "../store/store.js";
import { type Resources, resourcesOf } from "./resources.js";
import { capacityOf } from "./shortage.js";

/** What a consumer should hold. */
interface Holding {
  readonly host: string;
  readonly resources: Resources;
}

export function auditPlacement(
  store: Transactions,
  { heal }: { readonly heal: boolean },
): Promise<PlacementFinding[]> {
  return store.transaction(async queries => {
    const audit = new Audit(queries, heal);
    return [...(await audit.consumers()), ...(await audit.oversold())];
  });
}

class Audit {
  readonly #queries: Queries;
  readonly #heal: boolean;

  constructor(queries: Queries, heal: boolean) {
    this.#queries = queries;
    this.#heal = heal;
  }

  async consumers(): Promise<PlacementFinding[]> {
    const held = Map.groupBy(await listAllocations(this.#queries), ({ consumer }) => consumer);
    const live = await listMigrations(this.#queries, { live: true, limit: Number.MAX_SAFE_INTEGER });
    const openByServer = new Map(
      live.filter(({ open }) => open).map(migration => [migration.serverId, migration]),
    );
    const findings: PlacementFinding[] = [];
    for (const server of await listServers(this.#queries)) {
      const migration = openByServer.get(server.id);
      const holds = held.get(server.id) ?? [];
      if (migration === undefined) findings.push(...(await this.#settled(server, holds)));
      else findings.push(...moving(server, migration, holds, held.get(migration.id) ?? []));
      held.delete(server.id);
      if (migration !== undefined) held.delete(migration.id);
    }
    for (const orphans of held.values()) findings.push(await this.#orphaned(orphans));
    return findings;
  }

  /** More booked than there is: nothing that a booking could correct. */
  async oversold(): Promise<PlacementFinding[]> {
    const all = await bookedInventories(this.#queries);
    return [...all].flatMap(([host, inventories]) =>
      inventories
        .filter(inventory => inventory.used > capacityOf(inventory))
        .map(inventory => ({
          ...finding("oversold", undefined),
          host,
          have: `${inventory.resourceClass} ${inventory.used}`,
          need: `${inventory.resourceClass} ${capacityOf(inventory)}`,
          remark: "migrate servers away, or raise the allocation ratio of the host",
        })),
    );
  }

  async #settled(server: ServerRecord, holds: readonly AllocationRecord[]): Promise<PlacementFinding[]> {
    const need = { host: server.host, resources: resourcesOf(server.flavor) };
    const wrong = difference(holds, need);
    if (wrong === undefined) return [];
    if (this.#heal) await this.#replace(server.id, holds, need);
    return [
      {
        ...finding(wrong, { kind: "server", id: server.id, name: server.name }),
        host: server.host,
        have: textOf(holds),
        need: textOfResources(need.resources),
        healed: this.#heal,
      },
    ];
  }

  async #orphaned(orphans: readonly AllocationRecord[]): Promise<PlacementFinding> {
    const [first] = orphans;
    const consumer = first?.consumer ?? "";
    if (this.#heal) {
      await deleteAllocations(this.#queries, consumer);
      await raiseGenerations(this.#queries, hostsOf(orphans));
    }
    return {
      ...finding("orphaned", { kind: first?.consumerKind ?? "server", id: consumer, name: "" }),
      host: hostsOf(orphans).join(", "),
      have: textOf(orphans),
      need: "nothing",
      healed: this.#heal,
    };
  }

  async #replace(
    consumer: string,
    holds: readonly AllocationRecord[],
    { host, resources }: Holding,
  ): Promise<void> {
    await deleteAllocations(this.#queries, consumer);
    const rows = [...resources].map(([resourceClass, amount]) => ({
      consumer,
      consumerKind: "server" as const,
      host,
      resourceClass,
      amount,
    }));
    await insertAllocations(this.#queries, rows);
    await raiseGenerations(this.#queries, [...new Set([host, ...hostsOf(holds)])]);
  }
}

/** Of a server whose migration is open: one of its two shapes, or a finding that is only reported. */
function moving(
  server: ServerRecord,
  migration: MigrationRecord,
  serverHolds: readonly AllocationRecord[],
  migrationHolds: readonly AllocationRecord[],
): PlacementFinding[] {
  const source = { host: migration.sourceHost, resources: resourcesOf(migration.oldFlavor) };
  const target = { host: migration.targetHost, resources: resourcesOf(migration.newFlavor) };
  const isWhole = migrationHolds.length === 0 && difference(serverHolds, source) === undefined;
  const isMoved =
    difference(migrationHolds, source) === undefined && difference(serverHolds, target) === undefined;
  if (isWhole || isMoved) return [];
  return [
    {
      ...finding("wrong-amount", { kind: "server", id: server.id, name: server.name }),
      host: server.host,
      have: `server: ${textOf(serverHolds)}; migration: ${textOf(migrationHolds)}`,
      need: `server: ${textOfResources(target.resources)} on ${target.host}; migration: ${textOfResources(source.resources)} on ${source.host}`,
      remark: `migration ${migration.id} is open: look again when it has ended`,
    },
  ];
}

function difference(holds: readonly AllocationRecord[], { host, resources }: Holding): string | undefined {
  if (holds.length === 0) return resources.size === 0 ? undefined : "missing";
  if (holds.some(record => record.host !== host)) return "wrong-host";
  const isEqual =
    holds.length === resources.size &&
    holds.every(({ resourceClass, amount }) => resources.get(resourceClass) === amount);
  return isEqual ? undefined : "wrong-amount";
}

const finding = (
  kind: string,
  consumer: { readonly kind: string; readonly id: string; readonly name: string } | undefined,
): PlacementFinding => ({
  kind,
  consumer: consumer?.id ?? "",
  consumerKind: consumer?.kind ?? "",
  serverName: consumer?.name ?? "",
  host: "",
  have: "",
  need: "",
  healed: false,
  remark: "",
});

const hostsOf = (records: readonly AllocationRecord[]): string[] => [
  ...new Set(records.map(({ host }) => host)),
];

const textOf = (records: readonly AllocationRecord[]): string =>
  records.length === 0
    ? "nothing"
    : records.map(({ host, resourceClass, amount }) => `${resourceClass} ${amount} on ${host}`).join(", ");

const textOfResources = (resources: Resources): string =>
  [...resources].map(([resourceClass, amount]) => `${resourceClass} ${amount}`).join(", ");
