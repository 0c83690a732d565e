/**
 * The hosts: who they are (store), whether their agents are heard (memory), and what they offer.
 *
 *   unknown ──heartbeat──▶ up ──3 intervals of silence──▶ down ──heartbeat──▶ up
 *
 * Silence is measured by a clock that never steps, from the later of the last heartbeat and the controller's own
 * start, so neither a stepped wall clock nor a restarted controller declares a host down. `down` stops scheduling; it
 * never starts a server anywhere.
 */

import { Fault } from "../../proto/fault.js";
import type { HeartbeatRequest, HeartbeatResponse } from "../../proto/gen/ferry/v1/controller.js";
import { Host, type Inventory } from "../../proto/gen/ferry/v1/model.js";
import type { Aggregate } from "../../proto/gen/ferry/v1/placement.js";
import type { Clock } from "../clock.js";
import { DEFAULT_ZONE, listAggregates } from "../store/aggregates.js";
import { freeze } from "../store/freeze.js";
import {
  type BriefHostRow,
  changeHost,
  countServersByHost,
  findHost,
  type HostRow,
  knownHost,
  listHosts,
  raiseGenerations,
} from "../store/hosts.js";
import { bookedInventories, replaceInventories } from "../store/inventories.js";
import type { Queries } from "../store/schema.js";
import type { Transactions } from "../store/store.js";
import { firstWordOf } from "./first-word.js";
import { followDomains } from "./follow-domains.js";
import { whyStoreIsOlder } from "./older-store.js";
import { recordHost } from "./record-host.js";
import { tellHost } from "./tell-host.js";

export const HEARTBEAT_INTERVAL_MS = 5_000;
const MISSED_UNTIL_DOWN = 3;
export const SILENT_AFTER_MS = HEARTBEAT_INTERVAL_MS * MISSED_UNTIL_DOWN;

export type HostState = "up" | "down" | "unknown";

interface Dependencies {
  readonly store: Transactions;
  readonly clock: Clock;
}

export class Fleet {
  readonly #store: Transactions;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #heardMs = new Map<string, number>();
  readonly #reports = new Map<string, HeartbeatRequest>();

  constructor({ store, clock }: Dependencies) {
    this.#store = store;
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
  }

  /** Records what an agent says of its own host; the caller has checked that it is that host's agent. */
  async heartbeat(report: HeartbeatRequest): Promise<HeartbeatResponse> {
    const answer = await this.#store.transaction(async tx => {
      const nowMs = this.#clock.nowMs();
      const { isNew, quarantine, isBare, news } = await recordHost(tx, report, nowMs);
      const offersMore = await replaceInventories(tx, report.host, report.inventories);
      // Beats that say nothing new leave the generation, and with it whatever was read of this host, alone.
      if (isNew || offersMore) await raiseGenerations(tx, [report.host]);
      if (news !== undefined) await tellHost(tx, report.host, news, nowMs);
      const problem = await whyStoreIsOlder(tx, report);
      if (problem !== undefined) await freeze(tx, { reason: problem, atMs: nowMs });
      await followDomains(tx, report, nowMs);
      return { quarantine, wantHardware: isBare };
    });
    this.#heardMs.set(report.host, this.#clock.monotonicMs());
    this.#reports.set(report.host, report);
    return { intervalMs: HEARTBEAT_INTERVAL_MS, ...answer };
  }

  /** What the agent of a host said last, while it is heard. */
  reportOf(name: string): HeartbeatRequest | undefined {
    return this.stateOf(name) === "up" ? this.#reports.get(name) : undefined;
  }

  /** The highest epoch of a server that any agent has told of since this controller started. */
  highestEpoch(serverId: string): number {
    return Math.max(0, ...[...this.#reports.values()].map(({ epochs }) => epochs[serverId] ?? 0));
  }

  stateOf(name: string): HostState {
    const heardMs = this.#heardMs.get(name);
    const silenceMs = this.#clock.monotonicMs() - (heardMs ?? this.#startedMs);
    if (silenceMs > SILENT_AFTER_MS) return "down";
    return heardMs === undefined ? "unknown" : "up";
  }

  async list(): Promise<Host[]> {
    const queries = this.#store.queries;
    const [rows, view] = [await listHosts(queries), await viewOf(queries)];
    return rows.map(row => this.#hostOf(row, view));
  }

  /** Name, state and status only. */
  async listStates(): Promise<Host[]> {
    const rows = await listHosts(this.#store.queries);
    return rows.map(row =>
      Host.fromPartial({ name: row.name, status: row.status, state: this.#standingOf(row) }),
    );
  }

  async show(name: string): Promise<Host> {
    const queries = this.#store.queries;
    return this.#hostOf(await knownHost(queries, name), await viewOf(queries, name));
  }

  /**
   * A disabled host keeps its servers and takes no new ones. Enabling it is also a person's word that a suspected
   * host is what it says; its start counter is believed anew from then on.
   */
  async setStatus(name: string, enabled: boolean, reason = ""): Promise<Host> {
    const changes = enabled
      ? { status: "enabled", disabled_reason: "", quarantine: "", incarnation: 0 }
      : { status: "disabled", disabled_reason: reason };
    await this.#store.transaction(async tx => {
      await knownHost(tx, name);
      await changeHost(tx, name, changes);
      const message = enabled ? "enabled" : `disabled${reason && `: ${reason}`}`;
      await tellHost(tx, name, { type: "service.update", message }, this.#clock.nowMs());
    });
    return this.show(name);
  }

  /**
   * A person's word that a host is down, or that it no longer is: the scheduler and whoever moves servers take it for one
   * that is not heard. Nothing else follows from it; its guests may well be running, and none is started elsewhere.
   */
  async forceDown(name: string, isDown: boolean): Promise<Host> {
    await this.#store.transaction(async tx => {
      await knownHost(tx, name);
      await changeHost(tx, name, { forced_down: isDown ? 1 : 0 });
      const message = isDown ? "forced down" : "no longer forced down";
      await tellHost(tx, name, { type: "service.update", message }, this.#clock.nowMs());
    });
    return this.show(name);
  }

  /** After a start: until every host has said something, or counts as down. */
  async firstWords(): Promise<void> {
    if (this.#clock.monotonicMs() - this.#startedMs > SILENT_AFTER_MS) return;
    const rows = await listHosts(this.#store.queries);
    await this.#firstWordOf(rows.filter(row => row.forced_down === 0).map(({ name }) => name));
  }

  #firstWordOf(names: readonly string[]): Promise<void> {
    return firstWordOf(names, name => this.stateOf(name), this.#clock);
  }

  /** Whether its agent is heard and nobody says that the host is down; refused in Nova's words when not. */
  async refuseDown(name: string): Promise<void> {
    const row = await knownHost(this.#store.queries, name);
    const isForced = row.forced_down === 1;
    if (!isForced) await this.#firstWordOf([name]);
    const state = this.#standingOf(row);
    if (state === "up") return;
    throw new Fault("unreachable", "Service is unavailable at this time.", {
      have: isForced ? `${name} was forced down` : `the agent of ${name} is ${state}`,
      host: name,
      fix: isForced
        ? `if it is up: ferry host set ${name} --no-force-down`
        : `look at ferry-agent on ${name}: systemctl status ferry-agent`,
    });
  }

  #standingOf({ name, forced_down: forced }: Pick<HostRow, "name" | "forced_down">): HostState {
    return forced === 1 ? "down" : this.stateOf(name);
  }

  /** It may be given servers. */
  async isAvailable(name: string): Promise<boolean> {
    const row = await findHost(this.#store.queries, name);
    return row?.status === "enabled" && this.#standingOf(row) === "up";
  }

  /** Traits that a person gives a host, or takes from it. */
  async changeTraits(name: string, add: readonly string[], remove: readonly string[]): Promise<void> {
    for (const trait of [...add, ...remove]) refuseTrait(trait);
    await this.#store.transaction(async tx => {
      const kept = traitsOf(await knownHost(tx, name)).filter(trait => !remove.includes(trait));
      await changeHost(tx, name, { traits: JSON.stringify([...new Set([...kept, ...add])].sort()) });
    });
  }

  /** host:port on which the agent of a host is dialled. */
  async addressOf(name: string): Promise<string> {
    const { address } = await knownHost(this.#store.queries, name);
    if (address === "") throw new Fault("unreachable", `the agent of ${name} has not said where it listens`);
    return address;
  }

  #hostOf(row: BriefHostRow, { servers, inventories, aggregates }: FleetView): Host {
    const member = aggregates.filter(({ hosts }) => hosts.includes(row.name));
    return {
      name: row.name,
      state: this.#standingOf(row),
      forcedDown: row.forced_down === 1,
      status: row.status,
      disabledReason: row.disabled_reason,
      address: row.address,
      migrationAddress: row.migration_address,
      lastHeartbeatMs: row.last_heartbeat_ms,
      agentVersion: row.agent_version,
      bootId: row.boot_id,
      servers: servers.get(row.name) ?? 0,
      inventories: inventories.get(row.name) ?? [],
      hookProblem: row.quarantine || row.hook_problem,
      availabilityZone:
        member.find(({ availabilityZone: zone }) => zone !== "")?.availabilityZone ?? DEFAULT_ZONE,
      aggregates: member.map(({ name }) => name),
      traits: traitsOf(row),
    };
  }
}

const traitsOf = ({ traits }: Pick<HostRow, "traits">): string[] => JSON.parse(traits) as string[];

function refuseTrait(trait: string): void {
  if (/^[A-Z][A-Z0-9_]{0,254}$/.test(trait)) return;
  throw new Fault("invalid-argument", `${JSON.stringify(trait)} is no trait`, {
    need: "upper case letters, digits and underscores, for example CUSTOM_GOLD",
  });
}

/** What other tables say of hosts, by host. */
interface FleetView {
  readonly servers: ReadonlyMap<string, number>;
  readonly inventories: ReadonlyMap<string, Inventory[]>;
  readonly aggregates: readonly Aggregate[];
}

async function viewOf(queries: Queries, host?: string): Promise<FleetView> {
  return {
    servers: await countServersByHost(queries),
    inventories: await bookedInventories(queries, host === undefined ? undefined : [host]),
    aggregates: await listAggregates(queries),
  };
}
