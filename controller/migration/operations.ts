/**
 * What a person or a program can ask of migrations. Whatever changes the course of one is decided by one guarded
 * transaction and carried out by its saga; the caller is answered as soon as the decision is durable.
 */

import { Fault } from "../../proto/fault.js";
import { fromFaultInfo } from "../../proto/fault-info.js";
import type { HostVerdict, Migration } from "../../proto/gen/ferry/v1/model.js";
import { SagaRunner } from "../saga/runner.js";
import type { Write } from "../saga/step.js";
import { chosenHosts, schedule } from "../scheduler/schedule.js";
import { findFlavor } from "../store/flavors.js";
import {
  decideMigration,
  findMigration,
  listMigrations,
  type MigrationRecord,
  type MigrationSelection,
  migrationMessage,
} from "../store/migrations.js";
import { findServer, findServerById, type ServerRecord } from "../store/servers.js";
import { Changes } from "./changes.js";
import { conflictOf } from "./conflict.js";
import type { MigrationDependencies } from "./dependencies.js";
import { migrationKind } from "./migration-kind.js";
import type { MigrationWorld } from "./migration-world.js";
import { findingsOf, planOf } from "./recovery.js";
import { refuseAimlessForce, refuseUnknownHost } from "./refuse-host.js";
import { refuseResize } from "./refuse-resize.js";
import { actionOf, type MigrationRequest } from "./request.js";
import { scheduleRequestOf } from "./schedule-request.js";
import { type MigrationChange, watchMigration } from "./watch.js";

interface MoveRequest {
  /** Name or id. */
  readonly server: string;
  readonly dryRun?: boolean | undefined;
  readonly shutdownTimeoutMs?: number | undefined;
  readonly gracefulOnly?: boolean | undefined;
  /** refuse (default) | carry */
  readonly readOnlyDrives?: string | undefined;
  readonly requestedBy: string;
}

export interface MigrateRequest extends MoveRequest {
  /** Absent: the scheduler chooses. */
  readonly host?: string | undefined;
  /** The host even where the scheduler advises against it. */
  readonly force?: boolean | undefined;
}

export interface ResizeRequest extends MoveRequest {
  /** Name or id. */
  readonly flavor: string;
}

export interface MigrateAnswer {
  /** Absent for a dry run. */
  readonly migration: Migration | undefined;
  readonly verdicts: HostVerdict[];
}

export interface RecoverAnswer {
  readonly migration: Migration;
  readonly findings: string[];
  readonly plan: string[];
}

export class Migrations {
  readonly #deps: MigrationDependencies;
  readonly #changes = new Changes();
  readonly #runner: SagaRunner<MigrationWorld>;

  constructor(deps: MigrationDependencies) {
    this.#deps = deps;
    const { store, agent, clock, random, owner, onBug, onLine, fleet } = deps;
    const changed = (id: string) => this.#changes.notify(id);
    const kind = migrationKind({ store, agent, clock, hosts: () => fleet.list(), changed, onLine });
    this.#runner = new SagaRunner({ store, clock, random, owner, onBug, kind });
  }

  /** Resumes every live migration from its journal. */
  start(): Promise<void> {
    return this.#runner.resumeAll();
  }

  /** Leaves every migration where it is. */
  close(): Promise<void> {
    return this.#runner.close();
  }

  /** Recorded and visible when it resolves; refused in one sentence when it could not even begin. */
  async migrate(asked: MigrateRequest): Promise<MigrateAnswer> {
    const { host: requestedHost = "", force = false } = asked;
    refuseAimlessForce(force, requestedHost);
    const server = await findServer(this.#deps.store.queries, asked.server);
    return this.#move(server, asked, { requestedHost, force, flavor: server.flavor });
  }

  /** The same saga to another flavor, on a host of the scheduler's choice. */
  async resize(asked: ResizeRequest): Promise<MigrateAnswer> {
    const { queries } = this.#deps.store;
    const server = await findServer(queries, asked.server);
    const flavor = await findFlavor(queries, asked.flavor);
    refuseResize(server, flavor);
    return this.#move(server, asked, { requestedHost: "", force: false, flavor });
  }

  async #move(server: ServerRecord, asked: MoveRequest, aim: Aim): Promise<MigrateAnswer> {
    const { store, fleet } = this.#deps;
    const request = this.#requestOf(asked, server, aim);
    const hosts = await fleet.list();
    refuseUnknownHost(
      request.requestedHost,
      hosts.map(host => host.name),
    );
    const question = scheduleRequestOf(request);
    const verdicts = schedule(hosts, question);
    if (asked.dryRun === true) return { migration: undefined, verdicts };

    if (!isMovable(server)) throw conflictOf(actionOf(request), server, server.id);
    refuseSilent(server.host, fleet.stateOf(server.host));
    chosenHosts(verdicts, question);
    await store.transaction(queries => this.#runner.create(queries, request.migrationId, { ...request }));
    this.#runner.poke(request.migrationId);
    return { migration: await this.show(request.migrationId), verdicts };
  }

  /** The server stays on its target; the source is destroyed. Resolves when that is decided, not when it is done. */
  async confirm(server: string, requestedBy: string): Promise<Migration> {
    const record = await this.#finishedOf(server, "confirmResize");
    // Also the target: after this decision there is no way back to the source, and the target may be lost.
    for (const host of [record.targetHost, record.sourceHost])
      refuseSilent(host, this.#deps.fleet.stateOf(host));
    await this.#runner.decide(record.id, "confirm", requestedBy, write =>
      decide(record, "confirming", write),
    );
    return this.show(record.id);
  }

  /** The server goes back to its source, as it was; what it wrote on the target since then is lost. */
  async revert(
    server: string,
    { discardWrites, requestedBy }: { discardWrites: boolean; requestedBy: string },
  ): Promise<Migration> {
    const record = await this.#revertibleOf(server);
    if (!discardWrites) throw wouldDiscard(record);
    await this.#preflight(record);
    await this.#runner.decide(record.id, "revert", requestedBy, write => decide(record, "reverting", write));
    return this.show(record.id);
  }

  /** Takes everything back, as long as the target's CPUs cannot have run. */
  async cancel(id: string, _requestedBy: string): Promise<Migration> {
    await this.#find(id);
    await this.#runner.cancel(id);
    return this.show(id);
  }

  /** Looks at both hosts, says what it sees and what it would do, and does it unless only the plan was asked for. */
  async recover(
    id: string,
    { planOnly, requestedBy }: { planOnly: boolean; requestedBy: string },
  ): Promise<RecoverAnswer> {
    const record = await this.#find(id);
    const { state } = await this.#runner.load(id);
    const findings = await findingsOf(record, this.#deps);
    const plan = planOf(record, state);
    if (!planOnly && record.endedAtMs === 0) await this.#runner.resume(id, requestedBy);
    return { migration: await this.show(id), findings, plan };
  }

  /** The present state at once, then every change until the migration rests. */
  watch(id: string, options: { signal: AbortSignal; untilEnded: boolean }): AsyncIterable<MigrationChange> {
    return watchMigration(
      { queries: this.#deps.store.queries, changes: this.#changes, clock: this.#deps.clock },
      id,
      options,
    );
  }

  async show(id: string): Promise<Migration> {
    return migrationMessage(await this.#find(id));
  }

  /** Newest first. */
  async list(selection: MigrationSelection = {}): Promise<Migration[]> {
    return (await listMigrations(this.#deps.store.queries, selection)).map(migrationMessage);
  }

  async #find(id: string): Promise<MigrationRecord> {
    const record = await findMigration(this.#deps.store.queries, id);
    if (record === undefined) throw new Fault("not-found", `Migration ${id} could not be found.`);
    return record;
  }

  async #finishedOf(nameOrId: string, action: string): Promise<MigrationRecord> {
    const server = await findServer(this.#deps.store.queries, nameOrId);
    if (server.vmState !== "resized" || server.taskState !== "") throw conflictOf(action, server, server.id);
    const record = await this.#find(server.migrationId);
    if (record.status !== "finished") {
      throw new Fault("conflict", `migration ${record.id} of ${server.name} is ${record.status} already`);
    }
    return record;
  }

  /** Finished, or stuck where only a person's revert leads back. */
  async #revertibleOf(nameOrId: string): Promise<MigrationRecord> {
    const server = await findServer(this.#deps.store.queries, nameOrId);
    const record = await findMigration(this.#deps.store.queries, server.migrationId);
    if (record?.stuck === true && record.status === "post-migrating") return record;
    return this.#finishedOf(nameOrId, "revertResize");
  }

  /** Before anything is decided, so that a refusal is this call's answer and the target runs on (SAFETY R2). */
  async #preflight(record: MigrationRecord): Promise<void> {
    const { agent, clock, store } = this.#deps;
    const server = await findServerById(store.queries, record.serverId);
    const request = {
      key: `${record.id}:revert:${clock.nowMs()}:preflight_revert`,
      serverId: record.serverId,
      migrationId: record.id,
      epoch: server?.epoch ?? 0,
      limitMs: PREFLIGHT_LIMIT_MS,
      verb: { $case: "preflightRevert" as const, value: {} },
    };
    const signal = AbortSignal.timeout(PREFLIGHT_LIMIT_MS);
    const { refusals } = await agent.perform(record.sourceHost, request, { signal });
    const [refusal] = refusals;
    if (refusal !== undefined) throw fromFaultInfo(refusal);
  }

  #requestOf(asked: MoveRequest, server: ServerRecord, aim: Aim): MigrationRequest {
    const { settings, newId } = this.#deps;
    return {
      migrationId: newId(),
      serverId: server.id,
      serverName: server.name,
      sourceHost: server.host,
      ...aim,
      oldFlavor: server.flavor,
      vmState: server.vmState,
      powerState: server.powerState,
      disks: server.disks,
      shutdownTimeoutMs: asked.shutdownTimeoutMs || settings.shutdownTimeoutMs,
      gracefulOnly: asked.gracefulOnly ?? false,
      readOnlyDrives: asked.readOnlyDrives || "refuse",
      maxDowntimeMs: server.maxDowntimeSeconds * 1000 || settings.maxDowntimeMs,
      maxAttempts: settings.maxAttempts,
      autoConfirmAfterMs: settings.autoConfirmAfterMs,
      requestedBy: asked.requestedBy,
    };
  }
}

/** Where to, and as what. */
type Aim = Pick<MigrationRequest, "requestedHost" | "force" | "flavor">;

const PREFLIGHT_LIMIT_MS = 30_000;

const isMovable = ({ vmState, taskState, migrationId }: ServerRecord): boolean =>
  (vmState === "active" || vmState === "stopped") && taskState === "" && migrationId === "";

function refuseSilent(host: string, state: string): void {
  if (state === "up") return;
  throw new Fault("unreachable", `Service is unavailable at this time: the agent of ${host} is ${state}.`, {
    host,
    fix: `look at ferry-agent on ${host}: systemctl status ferry-agent`,
  });
}

/** The one guarded update by which confirm, revert, auto-confirm and delete exclude each other (SAFETY R15). */
async function decide(record: MigrationRecord, to: "confirming" | "reverting", write: Write): Promise<void> {
  if (await decideMigration(write.queries, record.id, record.status, to, write.nowMs)) return;
  throw new Fault("conflict", `migration ${record.id} has been decided already`);
}

function wouldDiscard({ targetHost, serverName, steps }: MigrationRecord): Fault {
  const since = steps.find(step => step.name === "release-target")?.startedAtMs ?? 0;
  const time = new Date(since).toISOString();
  return new Fault(
    "refused",
    `what ${serverName} has written on ${targetHost} since ${time} will be discarded by a revert`,
    {
      need: "your consent to that loss",
      fix: `ferry server revert ${serverName} --discard-writes, or keep it with ferry server confirm`,
    },
  );
}
