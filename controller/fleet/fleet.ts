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
import type { Host, Inventory } from "../../proto/gen/ferry/v1/model.js";
import type { Clock } from "../clock.js";
import { usageOf } from "../store/allocations.js";
import {
  countServersByHost,
  findHost,
  type HostRow,
  insertHost,
  listHosts,
  updateHost,
} from "../store/hosts.js";
import { listInventories, replaceInventories } from "../store/inventories.js";
import type { Queries } from "../store/schema.js";
import type { Transactions } from "../store/store.js";
import { followDomains } from "./follow-domains.js";
import { suspicionOf } from "./suspicion.js";

export const HEARTBEAT_INTERVAL_MS = 5_000;
const MISSED_UNTIL_DOWN = 3;

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

  constructor({ store, clock }: Dependencies) {
    this.#store = store;
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
  }

  /** Records what an agent says of its own host; the caller has checked that it is that host's agent. */
  async heartbeat(report: HeartbeatRequest): Promise<HeartbeatResponse> {
    await this.#store.transaction(async tx => {
      await this.#recordHost(tx, report);
      await replaceInventories(tx, report.host, report.inventories);
      await followDomains(tx, report, this.#clock.nowMs());
    });
    this.#heardMs.set(report.host, this.#clock.monotonicMs());
    return { intervalMs: HEARTBEAT_INTERVAL_MS };
  }

  stateOf(name: string): HostState {
    const heardMs = this.#heardMs.get(name);
    const silenceMs = this.#clock.monotonicMs() - (heardMs ?? this.#startedMs);
    if (silenceMs > HEARTBEAT_INTERVAL_MS * MISSED_UNTIL_DOWN) return "down";
    return heardMs === undefined ? "unknown" : "up";
  }

  async list(): Promise<Host[]> {
    const queries = this.#store.queries;
    const [rows, counts] = [await listHosts(queries), await countServersByHost(queries)];
    return Promise.all(rows.map(row => this.#hostOf(queries, row, counts.get(row.name) ?? 0)));
  }

  async show(name: string): Promise<Host> {
    const queries = this.#store.queries;
    const row = await findHost(queries, name);
    if (row === undefined) throw new Fault("not-found", `Compute host ${name} could not be found.`);
    const counts = await countServersByHost(queries);
    return this.#hostOf(queries, row, counts.get(name) ?? 0);
  }

  /**
   * A disabled host keeps its servers and takes no new ones. Enabling it is also a person's word that a suspected
   * host is what it says; its start counter is believed anew from then on.
   */
  async setStatus(name: string, enabled: boolean, reason = ""): Promise<Host> {
    await this.show(name);
    const changes = enabled
      ? { status: "enabled", disabled_reason: "", quarantine: "", incarnation: 0 }
      : { status: "disabled", disabled_reason: reason };
    await updateHost(this.#store.queries, name, changes);
    return this.show(name);
  }

  /** host:port on which the agent of a host is dialled. */
  async addressOf(name: string): Promise<string> {
    const { address } = await this.show(name);
    if (address === "") throw new Fault("unreachable", `the agent of ${name} has not said where it listens`);
    return address;
  }

  async #recordHost(tx: Queries, report: HeartbeatRequest): Promise<void> {
    const known = await findHost(tx, report.host);
    const said = {
      address: report.address,
      migration_address: report.migrationAddress,
      data_port: report.dataPort,
      agent_version: report.agentVersion,
      boot_id: report.bootId,
      hook_problem: report.hookProblem,
      last_heartbeat_ms: this.#clock.nowMs(),
    };
    const identity = {
      machine_id: report.machineId,
      install_id: report.installId,
      incarnation: report.incarnation,
    };
    if (known === undefined) {
      const fresh = { status: "enabled", disabled_reason: "", quarantine: "", generation: 0 };
      await insertHost(tx, { name: report.host, ...fresh, ...said, ...identity });
      return;
    }
    const quarantine = suspicionOf(known, report) ?? known.quarantine;
    // The highest counter is remembered, whatever a restored host says.
    const incarnation =
      known.install_id === report.installId
        ? Math.max(known.incarnation, report.incarnation)
        : report.incarnation;
    await updateHost(tx, report.host, { ...said, ...identity, incarnation, quarantine });
  }

  async #hostOf(queries: Queries, row: HostRow, servers: number): Promise<Host> {
    return {
      name: row.name,
      state: this.stateOf(row.name),
      status: row.status,
      disabledReason: row.disabled_reason,
      address: row.address,
      migrationAddress: row.migration_address,
      lastHeartbeatMs: row.last_heartbeat_ms,
      agentVersion: row.agent_version,
      bootId: row.boot_id,
      servers,
      inventories: await inventoriesOf(queries, row.name),
      hookProblem: row.quarantine || row.hook_problem,
    };
  }
}

async function inventoriesOf(queries: Queries, host: string): Promise<Inventory[]> {
  const [inventories, used] = [await listInventories(queries, host), await usageOf(queries, host)];
  return inventories.map(inventory => ({ ...inventory, used: used.get(inventory.resourceClass) ?? 0 }));
}
