/**
 * Compares what the store says with what every host that is heard says: who has which server, is it defined and whole, is
 * exactly that booked. A difference is *drift*: told to whoever asks, logged when it is new, counted by a metric.
 *
 * What only looks like drift because the two were read at different times is asked again before it is told. Healed are
 * only bookings, which follow from the rest. A host that is silent is unknown.
 */

import { asFault } from "../../proto/fault.js";
import type { AttestResponse } from "../../proto/gen/ferry/v1/agent.js";
import type { DomainReport, Drift } from "../../proto/gen/ferry/v1/controller.js";
import { auditPlacement } from "../placement/audit.js";
import { listHosts } from "../store/hosts.js";
import { findMigration } from "../store/migrations.js";
import { findServerById, listServers, type ServerRecord } from "../store/servers.js";
import type { MigrationDependencies } from "./dependencies.js";

const ATTEST_LIMIT_MS = 10_000;
const HOLDING: readonly string[] = ["active", "incoming", "fenced"];

type Dependencies = Pick<MigrationDependencies, "store" | "fleet" | "agent">;

export class Audit {
  readonly #deps: Dependencies;

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  async look(heal: boolean): Promise<Drift[]> {
    const homes = await this.#homes();
    const strays = await this.#strays();
    const bookings = await this.#bookings(heal);
    return [...homes, ...strays, ...bookings];
  }

  /** Every server is where the store has it, and whole. */
  async #homes(): Promise<Drift[]> {
    const { store, fleet } = this.#deps;
    const drifts: Drift[] = [];
    for (const server of await listServers(store.queries)) {
      if (!isSettled(server) || fleet.stateOf(server.host) !== "up") continue;
      const drift = await this.#homeDrift(server);
      if (drift !== undefined && (await this.#isUnchanged(server))) drifts.push(drift);
    }
    return drifts;
  }

  async #homeDrift(server: ServerRecord): Promise<Drift | undefined> {
    const about = { server: server.name, host: server.host };
    try {
      const signal = AbortSignal.timeout(ATTEST_LIMIT_MS);
      return homeDriftOf(server, await this.#deps.agent.attest(server.host, server.id, signal));
    } catch (error) {
      const message = `${server.host} cannot say how ${server.name} is: ${asFault(error).message}`;
      return drift({ ...about, kind: "unreadable", message, fix: "look at its agent and at libvirtd" });
    }
  }

  /** Nobody has begun anything with the server since it was read. */
  async #isUnchanged(server: ServerRecord): Promise<boolean> {
    const now = await findServerById(this.#deps.store.queries, server.id);
    return now !== undefined && isSettled(now) && now.host === server.host && now.epoch === server.epoch;
  }

  /** Nobody else has one. */
  async #strays(): Promise<Drift[]> {
    const { store, fleet } = this.#deps;
    const drifts: Drift[] = [];
    for (const { name } of await listHosts(store.queries)) {
      const holding = (fleet.reportOf(name)?.domains ?? []).filter(({ role }) => HOLDING.includes(role));
      for (const report of holding) {
        const found = await this.#strayDrift(name, report);
        if (found !== undefined) drifts.push(found);
      }
    }
    return drifts;
  }

  async #strayDrift(host: string, { serverId }: DomainReport): Promise<Drift | undefined> {
    const { agent } = this.#deps;
    if (!(await this.#isStray(host, serverId))) return undefined;
    const said = await agent
      .attest(host, serverId, AbortSignal.timeout(ATTEST_LIMIT_MS))
      .catch(() => undefined);
    if (said === undefined || !HOLDING.includes(said.role) || !(await this.#isStray(host, serverId)))
      return undefined;
    const server = await findServerById(this.#deps.store.queries, serverId);
    const about = { server: server?.name ?? serverId, host };
    const home = server === undefined ? "is unknown here" : `lives on ${server.host}`;
    const isTwice = said.role === "active" && said.domain === "RUNNING";
    return drift({
      ...about,
      kind: isTwice ? "twice" : "foreign",
      message: `${about.server} ${home}, but ${host} has it ${said.role}, domain ${said.domain}`,
      fix: isTwice
        ? `stop it on ${host} now: virsh destroy ${serverId}; then find out how it came to run`
        : `look at it on ${host}; the hook there decides whether it may start`,
    });
  }

  /** Not its home, and no open migration brings it here or takes it away. */
  async #isStray(host: string, serverId: string): Promise<boolean> {
    const { queries } = this.#deps.store;
    const server = await findServerById(queries, serverId);
    if (server === undefined) return true;
    if (server.host === host) return false;
    const open = server.migrationId === "" ? undefined : await findMigration(queries, server.migrationId);
    return open === undefined || (open.sourceHost !== host && open.targetHost !== host);
  }

  /** Booked is what servers and open migrations hold, and nothing else. */
  async #bookings(heal: boolean): Promise<Drift[]> {
    const findings = await auditPlacement(this.#deps.store, { heal });
    return findings.map(found =>
      drift({
        server: found.serverName,
        host: found.host,
        kind: "booking",
        message: `${found.kind} booking of ${found.serverName || found.consumer}: ${found.have || "nothing"} is booked, ${found.need || "nothing"} should be`,
        fix: found.remark || "ferry placement audit --heal",
        healed: found.healed,
      }),
    );
  }
}

/** No task and no migration: what its host says must be what the store says. */
const isSettled = ({ taskState, migrationId, vmState }: ServerRecord): boolean =>
  taskState === "" && migrationId === "" && (vmState === "active" || vmState === "stopped");

function homeDriftOf(server: ServerRecord, said: AttestResponse): Drift | undefined {
  const about = { server: server.name, host: server.host };
  const { name, host } = server;
  if (said.role !== "active") {
    const message = `${name} lives on ${host}, whose agent has it ${said.role}`;
    return drift({
      ...about,
      kind: "not-active",
      message,
      fix: "ferry migration list --server, for what became of it",
    });
  }
  const [first] = said.drift;
  if (first === undefined) return undefined;
  const message = `${name} on ${host}: ${first}`;
  return drift({
    ...about,
    kind: "missing",
    message,
    fix: "find out who removed it; Ferry does not make it again by guessing",
  });
}

const drift = (found: Partial<Drift> & Pick<Drift, "kind" | "message" | "fix">): Drift => ({
  server: "",
  host: "",
  healed: false,
  ...found,
});
