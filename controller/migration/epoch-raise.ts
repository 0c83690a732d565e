/**
 * After the store went back in time (SAFETY R13): everything stands still, then
 *
 *   look      every host says which epochs it has seen; of every live migration both hosts say what their journals hold
 *   raise     each server's epoch goes above all of them, except where its migration agrees with both journals
 *   home      a server without a migration lives where the one agent says that has it
 *   thaw      migrations that agree go on by themselves; the others are stuck until a person has recovered them
 *
 * The last three are one transaction. Raising alone resumes nothing.
 */

import { Fault } from "../../proto/fault.js";
import { toFaultInfo } from "../../proto/fault-info.js";
import type { HeartbeatRequest } from "../../proto/gen/ferry/v1/controller.js";
import { reassignHost } from "../store/allocations.js";
import { freeze, readFreeze, thaw } from "../store/freeze.js";
import { raiseGenerations } from "../store/hosts.js";
import { findMigration } from "../store/migrations.js";
import type { Queries } from "../store/schema.js";
import { listServers, type ServerRecord, updateServer } from "../store/servers.js";
import type { MigrationDependencies } from "./dependencies.js";
import type { Migrations } from "./migrations.js";
import { disagreementsOf } from "./reconcile.js";
import { lookAtBoth } from "./recovery.js";

/** Room above what was ever seen, for epochs that only a silent host knows. */
const MARGIN = 1000;

export interface RaiseRequest {
  readonly planOnly: boolean;
  readonly withoutHosts: readonly string[];
  readonly requestedBy: string;
}

export interface RaiseAnswer {
  readonly findings: string[];
  readonly plan: string[];
}

interface Judged {
  readonly id: string;
  readonly serverId: string;
  readonly serverName: string;
  readonly step: string;
  /** None: it goes on by itself. */
  readonly disagreements: readonly string[];
}

interface Raise {
  readonly server: ServerRecord;
  readonly epoch: number;
  /** Where the agents say that it lives, when the store says otherwise. */
  readonly home: string | undefined;
}

export class EpochRaise {
  readonly #deps: MigrationDependencies;
  readonly #migrations: Migrations;

  constructor(deps: MigrationDependencies, migrations: Migrations) {
    this.#deps = deps;
    this.#migrations = migrations;
  }

  async raise({ planOnly, withoutHosts, requestedBy }: RaiseRequest): Promise<RaiseAnswer> {
    const { store, clock } = this.#deps;
    const reports = await this.#reports(withoutHosts);
    const reason = `${requestedBy} is raising the epochs`;
    if (!planOnly) await store.transaction(tx => freeze(tx, { reason, atMs: clock.nowMs() }));
    const judged = await this.#judge();
    const raises = raisesOf(await listServers(store.queries), reports, judged);
    const frozen = await readFreeze(store.queries);
    if (!planOnly) {
      await store.transaction(tx => this.#write(tx, judged, raises));
      this.#migrations.thaw();
    }
    const whole = frozen === undefined ? "nothing is frozen" : `frozen: ${frozen.reason}`;
    return {
      findings: [whole, ...judged.flatMap(findingsOf)],
      plan: [...raises.map(raiseLine), ...judged.map(planLine)],
    };
  }

  /** The last word of every host, none older than its heartbeat; a silent one must be left out by name. */
  async #reports(without: readonly string[]): Promise<HeartbeatRequest[]> {
    const { fleet } = this.#deps;
    const names = (await fleet.list()).map(({ name }) => name);
    const reports = names.map(name => ({ name, report: fleet.reportOf(name) }));
    const silent = reports.filter(({ name, report }) => report === undefined && !without.includes(name));
    if (silent.length > 0) {
      const hosts = silent.map(({ name }) => name).join(", ");
      throw new Fault("unreachable", `not every host has said what it has seen: ${hosts} is silent`, {
        need: "the word of every host",
        fix: `bring it back, or leave it out: ${silent.map(({ name }) => `--without-host ${name}`).join(" ")}`,
      });
    }
    return reports.flatMap(({ report }) => report ?? []);
  }

  async #judge(): Promise<Judged[]> {
    const { store } = this.#deps;
    const judged: Judged[] = [];
    for (const { row, state } of await this.#migrations.live()) {
      const record = await findMigration(store.queries, row.id);
      if (record === undefined) continue;
      const looks = await lookAtBoth(record, state, this.#deps);
      const silent = looks.flatMap(look => ("problem" in look ? [`${look.host}: ${look.problem}`] : []));
      const said = looks.filter(look => "journal" in look);
      const differences = disagreementsOf({ id: row.id, epoch: row.epoch, state }, said);
      const { id, serverId, serverName, step } = record;
      judged.push({ id, serverId, serverName, step, disagreements: [...silent, ...differences] });
    }
    return judged;
  }

  async #write(tx: Queries, judged: readonly Judged[], raises: readonly Raise[]): Promise<void> {
    const nowMs = this.#deps.clock.nowMs();
    for (const { server, epoch, home } of raises) {
      await updateServer(tx, server.id, { epoch, ...(home === undefined ? {} : { host: home }) }, nowMs);
      if (home === undefined) continue;
      await reassignHost(tx, server.id, home);
      await raiseGenerations(tx, [server.host, home]);
    }
    await thaw(tx);
    for (const { id, step, disagreements } of judged) {
      if (disagreements.length > 0) await this.#migrations.park(tx, id, step, differs(disagreements));
    }
  }
}

/** In the words of `ferry migration show`. */
const differs = (disagreements: readonly string[]) =>
  toFaultInfo(
    new Fault("stuck", `this record and the journals of its hosts differ: ${disagreements.join("; ")}`, {
      fix: "ferry migration recover ID --plan",
    }),
  );

function raisesOf(
  servers: readonly ServerRecord[],
  reports: readonly HeartbeatRequest[],
  judged: readonly Judged[],
): Raise[] {
  const agreed = new Set(judged.filter(one => one.disagreements.length === 0).map(one => one.serverId));
  const moving = new Set(judged.map(one => one.serverId));
  return servers
    .filter(({ id }) => !agreed.has(id))
    .map(server => {
      const seen = Math.max(server.epoch, ...reports.map(({ epochs }) => epochs[server.id] ?? 0));
      const home = moving.has(server.id) ? undefined : homeOf(server, reports);
      return { server, epoch: seen + MARGIN, home };
    });
}

/** The one host whose agent has it, when that is not where the store has it; undefined when nobody or several have. */
function homeOf({ id, host }: ServerRecord, reports: readonly HeartbeatRequest[]): string | undefined {
  const having = reports.filter(({ domains }) =>
    domains.some(({ serverId, role }) => serverId === id && role === "active"),
  );
  const [only, ...others] = having;
  return only === undefined || others.length > 0 || only.host === host ? undefined : only.host;
}

const findingsOf = ({ id, serverName, disagreements }: Judged): string[] =>
  disagreements.length === 0
    ? [`migration ${id} of ${serverName} is as its hosts say`]
    : disagreements.map(line => `migration ${id} of ${serverName}: ${line}`);

const raiseLine = ({ server, epoch, home }: Raise): string =>
  `${server.name}: epoch ${server.epoch} → ${epoch}${home === undefined ? "" : `, home ${server.host} → ${home}, where its agent has it`}`;

const planLine = ({ id, disagreements }: Judged): string =>
  disagreements.length === 0
    ? `migration ${id} goes on`
    : `migration ${id} is stuck until: ferry migration recover ${id}`;
