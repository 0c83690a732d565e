/**
 * A host in quarantine that is heard again (SAFETY R14, R21). It was restored, cloned or declared dead, and what its agent
 * believes may be old. Server by server:
 *
 *   left out of a migration      that migration's missing part is made up for: withdrawn and removed, or retired
 *   lives elsewhere, or deleted  disowned: denied, ended if it runs, kept
 *   lives here                   its agent must say so, too
 *
 * Only when nothing is left to say about it can a person end the quarantine.
 */

import { asFault, Fault } from "../../proto/fault.js";
import type { PerformRequest } from "../../proto/gen/ferry/v1/agent.js";
import type { DomainReport } from "../../proto/gen/ferry/v1/controller.js";
import type { Host } from "../../proto/gen/ferry/v1/model.js";
import { readFreeze } from "../store/freeze.js";
import { findHost, listHosts } from "../store/hosts.js";
import { listMigrations, type MigrationRecord } from "../store/migrations.js";
import { findServerById, type ServerRecord } from "../store/servers.js";
import type { MigrationDependencies } from "./dependencies.js";
import { isGone } from "./fenced-host.js";
import { requestOf } from "./migration-kind.js";
import type { Verb } from "./migration-world.js";
import type { Migrations } from "./migrations.js";

const LIMIT_MS = 60_000;
/** Roles of a host that has something of a server. */
const HOLDING: readonly string[] = ["active", "incoming", "fenced"];

export class ReturnedHosts {
  readonly #deps: MigrationDependencies;
  readonly #migrations: Migrations;

  constructor(deps: MigrationDependencies, migrations: Migrations) {
    this.#deps = deps;
    this.#migrations = migrations;
  }

  /** Of every host in quarantine that is heard; what is still to be said of each. */
  async reconcileAll(): Promise<Map<string, string[]>> {
    const { store, fleet } = this.#deps;
    const left = new Map<string, string[]>();
    // An old store would call everything foreign.
    if ((await readFreeze(store.queries)) !== undefined) return left;
    for (const { name, quarantine } of await listHosts(store.queries)) {
      if (quarantine !== "" && fleet.stateOf(name) === "up") left.set(name, await this.reconcile(name));
    }
    return left;
  }

  /** Does what is unambiguous and answers what is not, one line each. */
  async reconcile(host: string): Promise<string[]> {
    const report = this.#deps.fleet.reportOf(host);
    if (report === undefined) return [`${host} is not heard`];
    const open: string[] = [];
    const attempt = async (about: string, work: Promise<string | undefined>) => {
      const line = await work.catch((error: unknown) => `${about}: ${asFault(error).message}`);
      if (line !== undefined) open.push(line);
    };
    for (const record of await this.#leftOut(host))
      await attempt(record.serverName, this.#makeUp(host, record));
    for (const domain of report.domains.filter(({ role }) => HOLDING.includes(role)))
      await attempt(domain.serverId, this.#judge(host, domain));
    return open;
  }

  /** A person's word that the host is what it says; in quarantine only when nothing is open any more. */
  async enable(host: string): Promise<Host> {
    const { store, fleet } = this.#deps;
    const row = await findHost(store.queries, host);
    if (row !== undefined && row.quarantine !== "") {
      const open = await this.reconcile(host);
      if (open.length > 0) {
        throw new Fault("conflict", `${host} stays in quarantine: ${open.join("; ")}`, {
          have: row.quarantine,
          fix: "correct these on the host, or wait for the migrations that are named, then enable it again",
        });
      }
    }
    return fleet.setStatus(host, true);
  }

  /** Migrations that do without this host, and that it does not know to have ended. */
  async #leftOut(host: string): Promise<MigrationRecord[]> {
    const { store, agent } = this.#deps;
    const all = await listMigrations(store.queries, { host });
    const found: MigrationRecord[] = [];
    for (const record of all) {
      const { state } = await this.#migrations.saga(record.id);
      if (!isGone(requestOf(state.known), host)) continue;
      const { serverId, id: migrationId } = record;
      const signal = AbortSignal.timeout(LIMIT_MS);
      const { outcome } = await agent.describeMigration(host, { serverId, migrationId }, signal);
      if (outcome === "") found.push(record);
    }
    return found;
  }

  /** While the migration is still being taken back its target is only kept from running. */
  async #makeUp(host: string, record: MigrationRecord): Promise<undefined> {
    const isEnded = record.endedAtMs > 0;
    const isLeaving = isEnded || record.direction === "unwinding";
    if (!isLeaving || (!isEnded && host === record.sourceHost)) return undefined;
    const perform = (verb: Verb) => this.#perform(host, record.serverId, record.id, verb);
    if (host === record.sourceHost) {
      await perform({ $case: "retireSource", value: {} });
      await perform({ $case: "closeMigration", value: { outcome: "confirmed" } });
      return undefined;
    }
    await perform({ $case: "withdrawTarget", value: { afterRun: true, peerHost: record.sourceHost } });
    if (!isEnded) return undefined;
    await perform({ $case: "removeTargetFiles", value: {} });
    await perform({
      $case: "closeMigration",
      value: { outcome: record.status === "reverted" ? "reverted" : "unwound" },
    });
    return undefined;
  }

  async #judge(host: string, { serverId }: DomainReport): Promise<string | undefined> {
    const { store, agent } = this.#deps;
    const server = await findServerById(store.queries, serverId);
    // The report is some seconds old, and what was left out may have been made up for since.
    const { role } = await agent.attest(host, serverId, AbortSignal.timeout(LIMIT_MS));
    if (!HOLDING.includes(role)) return undefined;
    if (server !== undefined && (await this.#isConcerned(host, server)))
      return `${server.name}: migration ${server.migrationId} needs this host, and must end first`;
    if (server?.host === host) {
      return role === "active" ? undefined : `${server.name} lives here, but its agent has it ${role}`;
    }
    await this.#perform(host, serverId, "", { $case: "disownServer", value: { home: server?.host ?? "" } });
    return undefined;
  }

  async #isConcerned(host: string, { migrationId }: ServerRecord): Promise<boolean> {
    if (migrationId === "") return false;
    const { sourceHost, targetHost } = await this.#migrations.show(migrationId);
    return host === sourceHost || host === targetHost;
  }

  async #perform(host: string, serverId: string, migrationId: string, verb: Verb): Promise<void> {
    const { store, agent, fleet, clock } = this.#deps;
    const server = await findServerById(store.queries, serverId);
    const epoch = Math.max(server?.epoch ?? 0, fleet.highestEpoch(serverId), 1);
    const request: PerformRequest = {
      key: `${migrationId || serverId}:returned-${clock.nowMs()}:run:${verb.$case}`,
      serverId,
      migrationId,
      epoch,
      term: server?.term ?? 0,
      limitMs: LIMIT_MS,
      verb,
    };
    await agent.perform(host, request, { signal: AbortSignal.timeout(LIMIT_MS) });
  }
}
