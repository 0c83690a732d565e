/**
 * What a person or a program can ask of migrations. Whatever changes the course of one is decided by one guarded
 * transaction and carried out by its saga; the caller is answered as soon as the decision is durable.
 */

import { Fault } from "../../proto/fault.js";
import { fromFaultInfo } from "../../proto/fault-info.js";
import type { VerifyReceiptResponse } from "../../proto/gen/ferry/v1/controller.js";
import type { CopiedFile, FaultInfo, HostVerdict, Migration } from "../../proto/gen/ferry/v1/model.js";
import { SagaRunner } from "../saga/runner.js";
import type { LoadedSaga } from "../saga/saga-journal.js";
import type { Write } from "../saga/step.js";
import { findFlavor } from "../store/flavors.js";
import { refuseFrozen } from "../store/freeze.js";
import type { Topic } from "../store/hints.js";
import type { MigrationSelection } from "../store/migration-selection.js";
import {
  decideMigration,
  findMigration,
  listBriefMigrations,
  listMigrations,
  type MigrationRecord,
  migrationMessage,
} from "../store/migrations.js";
import { listLiveSagas } from "../store/sagas.js";
import type { Queries } from "../store/schema.js";
import { findServer, findServerById, type ServerRecord } from "../store/servers.js";
import { listTaken } from "../store/turns.js";
import { recordAction } from "./actions.js";
import { Changes } from "./changes.js";
import { conflictOf } from "./conflict.js";
import type { MigrationDependencies } from "./dependencies.js";
import { checkedDiskFormat } from "./disk-format.js";
import type { QueueLimits } from "./fair-queue.js";
import { isGone } from "./fenced-host.js";
import { limitBandwidth } from "./limit-bandwidth.js";
import { migrationKind, requestOf } from "./migration-kind.js";
import type { MigrationWorld } from "./migration-world.js";
import { checkedNetworkMap, type NetworkMap } from "./network-map.js";
import { type Recovered, type RecoverRequest, recover } from "./recover.js";
import { refuseAimlessForce, refuseUnknownHost } from "./refuse-host.js";
import { refuseResize } from "./refuse-resize.js";
import { actionOf, type MigrationRequest } from "./request.js";
import { type RequestedBy, type Requester, refuseLocked, requesterOf } from "./requester.js";
import { type Aim, wantedOf } from "./schedule-request.js";
import { story } from "./story.js";
import { checkedPriority, giveTurns, placesInQueue, setPriority } from "./turns.js";
import { verifyReceipt } from "./verify-receipt.js";
import { type MigrationChange, watchMigration } from "./watch.js";

interface MoveRequest {
  /** Name or id. */
  readonly server: string;
  readonly dryRun?: boolean | undefined;
  readonly shutdownTimeoutMs?: number | undefined;
  readonly gracefulOnly?: boolean | undefined;
  /** refuse (default) | carry */
  readonly readOnlyDrives?: string | undefined;
  readonly networkMap?: NetworkMap | undefined;
  /** raw | qcow2: what the target makes of the disks that are copied; absent or empty: they stay what they are. */
  readonly diskFormat?: string | undefined;
  /** From -10 to 10. */
  readonly priority?: number | undefined;
  readonly requestedBy: RequestedBy;
}

export interface MigrateRequest extends MoveRequest {
  /** Absent: the scheduler chooses. */
  readonly host?: string | undefined;
  /** The host even where the scheduler advises against it. */
  readonly force?: boolean | undefined;
  /** The caller may move servers across cells, to a host that it names. */
  readonly mayCrossCells?: boolean | undefined;
}

export interface ResizeRequest extends MoveRequest {
  /** Name or id. */
  readonly flavor: string;
}

export interface MigrateAnswer {
  /** Absent for a dry run. */
  readonly migration: Migration | undefined;
  /** Of a dry run only. */
  readonly verdicts: HostVerdict[];
}

interface Verdict {
  /** The one that is meant; absent: whichever waits. */
  readonly migration?: string | undefined;
}

interface ConfirmOptions extends Verdict {
  readonly instead?: (queries: Queries) => Promise<void>;
}

interface RevertRequest extends Verdict {
  readonly discardWrites: boolean;
  readonly requestedBy: RequestedBy;
}

export interface RecoverAnswer extends Recovered {
  readonly migration: Migration;
}

export class Migrations {
  readonly #deps: MigrationDependencies;
  readonly #changes = new Changes();
  readonly #runner: SagaRunner<MigrationWorld>;
  readonly #queueLimits: QueueLimits;
  readonly #deafen: () => void;

  constructor(deps: MigrationDependencies) {
    this.#deps = deps;
    const { store, agent, clock, random, owner, onBug, onLine, scheduler, hints } = deps;
    const changed = (id: string) => {
      this.#changes.notify(id);
      hints.announce("migration", id);
    };
    const { maxConcurrent: total, maxConcurrentPerHost: perHost } = deps.settings;
    const turns = { queueLimits: { total, perHost }, turnFreed: () => this.#turnFreed() };
    const kind = migrationKind({ store, agent, clock, scheduler, changed, onLine, ...turns });
    this.#queueLimits = turns.queueLimits;
    this.#runner = new SagaRunner({ store, clock, random, owner, onBug, kind });
    this.#deafen = hints.listen((topic, id) => this.#hear(topic, id));
  }

  /** Resumes every live migration that nobody carries out, from its journal; answers how many. */
  adoptOrphans(): Promise<number> {
    return this.#runner.adoptOrphans();
  }

  /** Until the signal aborts: gives turns that nobody gave, because who should have has stopped or was not heard. */
  async followTurns(signal: AbortSignal): Promise<void> {
    const { clock, store } = this.#deps;
    while (!signal.aborted) {
      await clock.sleep(TURN_TICK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      // A store that does not answer is asked again at the next tick.
      await this.#giveTurns().catch(() => undefined);
      for (const id of await listTaken(store.queries).catch(() => [])) this.#runner.wake(id);
    }
  }

  /** How far ahead of others a migration waits for its turn. */
  async prioritise(id: string, priority: number): Promise<void> {
    await this.#find(id);
    await setPriority(this.#deps.store, id, priority);
    this.#turnFreed();
  }

  #turnFreed(): void {
    this.#giveTurns().catch(() => undefined);
  }

  async #giveTurns(): Promise<void> {
    const { store, clock, hints } = this.#deps;
    for (const id of await giveTurns(store, this.#queueLimits, clock.nowMs())) {
      this.#runner.poke(id);
      hints.announce("turn", id);
    }
  }

  /** Everything stood still, and may go on. */
  thaw(): void {
    this.#runner.thaw();
  }

  /** Leaves every migration where it is. */
  close(): Promise<void> {
    this.#deafen();
    return this.#runner.close();
  }

  /** Recorded and visible when it resolves; refused in one sentence when it could not even begin. */
  async migrate(asked: MigrateRequest): Promise<MigrateAnswer> {
    const { host: requestedHost = "", force = false } = asked;
    refuseAimlessForce(force, requestedHost);
    const server = await findServer(this.#deps.store.queries, asked.server);
    const crossCell = requestedHost !== "" && asked.mayCrossCells === true;
    return this.#move(server, asked, {
      requestedHost,
      force,
      crossCell,
      mayStay: false,
      flavor: server.flavor,
    });
  }

  /** The same saga to another flavor, on a host of the scheduler's choice. */
  async resize(asked: ResizeRequest): Promise<MigrateAnswer> {
    const { queries } = this.#deps.store;
    const server = await findServer(queries, asked.server);
    const flavor = await findFlavor(queries, asked.flavor);
    refuseResize(server, flavor);
    const mayStay = this.#deps.settings.allowResizeToSameHost;
    return this.#move(server, asked, { requestedHost: "", force: false, mayStay, flavor });
  }

  async #move(server: ServerRecord, asked: MoveRequest, aim: Aim): Promise<MigrateAnswer> {
    const { store, fleet, scheduler } = this.#deps;
    if (asked.dryRun !== true) await refuseFrozen(store.queries);
    const requester = this.#requester(asked.requestedBy);
    const request = this.#requestOf(asked, server, aim, requester);
    await refuseUnknownHost(store.queries, request.requestedHost);
    const wanted = wantedOf(server, aim);
    if (asked.dryRun === true) return { migration: undefined, verdicts: await scheduler.judge(wanted) };

    refuseLocked(server, requester);
    if (!isMovable(server)) throw conflictOf(actionOf(request), server, server.id, MOVABLE);
    await fleet.refuseDown(server.host);
    await scheduler.select(wanted, 1);
    await store.transaction(async queries => {
      await this.#runner.create(queries, request.migrationId, { ...request });
      await this.#record(queries, actionOf(request), request, requester);
    });
    this.#runner.poke(request.migrationId);
    return { migration: await this.show(request.migrationId), verdicts: [] };
  }

  /**
   * The server stays on its target; the source is destroyed. Resolves when that is decided, not when it is done.
   * What it is a part of is recorded `instead`, in the same transaction.
   */
  async confirm(
    server: string,
    requestedBy: RequestedBy,
    { migration, instead }: ConfirmOptions = {},
  ): Promise<Migration> {
    await refuseFrozen(this.#deps.store.queries);
    const requester = this.#requester(requestedBy);
    const record = await this.#finishedOf(server, "confirmResize", requester);
    refuseAnother(record, migration);
    // Also the target: after this decision there is no way back to the source, and the target may be lost.
    const { state } = await this.#runner.load(record.id);
    for (const host of [record.targetHost, record.sourceHost]) {
      if (!isGone(requestOf(state.known), host)) await this.#deps.fleet.refuseDown(host);
    }
    await this.#runner.decide(record.id, "confirm", requester.by, async write => {
      await decide(record, "confirming", write);
      if (instead !== undefined) await instead(write.queries);
      else await this.#record(write.queries, "confirmResize", asMigration(record), requester);
    });
    return this.show(record.id);
  }

  /** The server goes back to its source, as it was; what it wrote on the target since then is lost. */
  async revert(server: string, { discardWrites, requestedBy, migration }: RevertRequest): Promise<Migration> {
    await refuseFrozen(this.#deps.store.queries);
    const requester = this.#requester(requestedBy);
    const record = await this.#revertibleOf(server, requester);
    refuseAnother(record, migration);
    if (!discardWrites) throw wouldDiscard(record);
    await this.#preflight(record);
    await this.#runner.decide(record.id, "revert", requester.by, async write => {
      await decide(record, "reverting", write);
      await this.#record(write.queries, "revertResize", asMigration(record), requester);
    });
    return this.show(record.id);
  }

  /** Takes everything back, as long as the target's CPUs cannot have run. */
  async cancel(id: string, _requestedBy: string): Promise<Migration> {
    await this.#find(id);
    await refuseFrozen(this.#deps.store.queries);
    await this.#runner.cancel(id);
    this.#deps.hints.announce("saga", id);
    return this.show(id);
  }

  /** Looks at both hosts, says what it sees and what it would do, and does it unless only the plan was asked for. */
  async recover(id: string, request: RecoverRequest): Promise<RecoverAnswer> {
    const recovered = await recover(await this.#find(id), request, { ...this.#deps, runner: this.#runner });
    return { migration: await this.show(id), ...recovered };
  }

  /** Every migration that has not ended, as its journal has it. */
  async live(): Promise<LoadedSaga[]> {
    const ids = await listLiveSagas(this.#deps.store.queries, story.name);
    return Promise.all(ids.map(id => this.#runner.load(id)));
  }

  /** As its journal has it, ended or not. */
  saga(id: string): Promise<LoadedSaga> {
    return this.#runner.load(id);
  }

  /** Within the caller's transaction: stuck until a person has looked. */
  park(queries: Queries, id: string, step: string, fault: FaultInfo): Promise<void> {
    return this.#runner.park(queries, id, { step, fault });
  }

  /** How fast its disks may be copied from now on; 0: as fast as it goes. */
  async limit(id: string, bytesPerSecond: number, requestedBy: string): Promise<Migration> {
    await limitBandwidth(await this.#find(id), bytesPerSecond, requestedBy, this.#deps);
    return this.show(id);
  }

  /** Has the files of a copy receipt read again where they are: the migration's own, or one that was kept elsewhere. */
  async *verify(
    id: string,
    files: readonly CopiedFile[],
    signal: AbortSignal,
  ): AsyncGenerator<VerifyReceiptResponse> {
    yield* verifyReceipt(await this.#find(id), files, this.#deps.agent, signal);
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
    const [record, places] = [await this.#find(id), await placesInQueue(this.#deps.store.queries)];
    return migrationMessage(record, places.get(id));
  }

  /** Newest first; `brief`: without steps, receipt, notes and progress. */
  async list(selection: MigrationSelection = {}, { brief = false } = {}): Promise<Migration[]> {
    const find = brief ? listBriefMigrations : listMigrations;
    const { queries } = this.#deps.store;
    const [found, places] = [await find(queries, selection), await placesInQueue(queries)];
    return found.map(record => migrationMessage(record, places.get(record.id)));
  }

  /** Of another controller. A hint that cannot be followed now comes again. */
  #hear(topic: Topic, id: string | undefined): void {
    if (topic === "saga") this.#runner.notice(id).catch(() => undefined);
    else if (topic === "turn") this.#wake(id);
    else if (id === undefined) this.#changes.notifyAll();
    else this.#changes.notify(id);
  }

  /** Its turn was given by another controller; one whose word was lost is found by looking. */
  #wake(id: string | undefined): void {
    if (id !== undefined) this.#runner.wake(id);
  }

  async #find(id: string): Promise<MigrationRecord> {
    const record = await findMigration(this.#deps.store.queries, id);
    if (record === undefined) throw new Fault("not-found", `Migration ${id} could not be found.`);
    return record;
  }

  /** By the migration, not by what the server is said to be: a person may have declared it active or in error. */
  async #finishedOf(nameOrId: string, action: string, requester: Requester): Promise<MigrationRecord> {
    const server = await findServer(this.#deps.store.queries, nameOrId);
    refuseLocked(server, requester);
    const record = await findMigration(this.#deps.store.queries, server.migrationId);
    if (record?.status === "finished" && server.taskState === "") return record;
    if (record === undefined || server.taskState !== "")
      throw conflictOf(action, server, server.id, ["resized"]);
    throw new Fault("invalid-argument", "Instance has not been resized.", {
      have: `migration ${record.id}, ${record.status}`,
      fix: `ferry migration show ${record.id}`,
    });
  }

  #requester(requestedBy: RequestedBy): Requester {
    return requesterOf(requestedBy, this.#deps.newId);
  }

  #record(
    queries: Queries,
    action: string,
    { serverId, migrationId }: Pick<MigrationRequest, "serverId" | "migrationId">,
    requester: Requester,
  ): Promise<void> {
    return recordAction(queries, { serverId, action, migrationId }, requester, this.#deps.clock.nowMs());
  }

  /** Finished, or stuck where only a person's revert leads back. */
  async #revertibleOf(nameOrId: string, requester: Requester): Promise<MigrationRecord> {
    const server = await findServer(this.#deps.store.queries, nameOrId);
    refuseLocked(server, requester);
    const record = await findMigration(this.#deps.store.queries, server.migrationId);
    if (record?.stuck === true && record.status === "post-migrating") return record;
    return this.#finishedOf(nameOrId, "revertResize", requester);
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
      term: server?.term ?? 0,
      limitMs: PREFLIGHT_LIMIT_MS,
      verb: { $case: "preflightRevert" as const, value: {} },
    };
    const signal = AbortSignal.timeout(PREFLIGHT_LIMIT_MS);
    const { refusals } = await agent.perform(record.sourceHost, request, { signal });
    const [refusal] = refusals;
    if (refusal !== undefined) throw fromFaultInfo(refusal);
  }

  #requestOf(asked: MoveRequest, server: ServerRecord, aim: Aim, requester: Requester): MigrationRequest {
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
      networkMap: checkedNetworkMap(asked.networkMap ?? {}),
      diskFormat: checkedDiskFormat(asked.diskFormat),
      maxDowntimeMs: server.maxDowntimeSeconds * 1000 || settings.maxDowntimeMs,
      maxAttempts: settings.maxAttempts,
      autoConfirmAfterMs: settings.autoConfirmAfterMs,
      priority: checkedPriority(asked.priority ?? 0),
      requestedBy: requester.by,
      project: requester.project,
    };
  }
}

const asMigration = ({ id, serverId }: MigrationRecord) => ({ serverId, migrationId: id });

const TURN_TICK_MS = 5_000;
const PREFLIGHT_LIMIT_MS = 30_000;

const MOVABLE: readonly string[] = ["active", "stopped"];

const isMovable = ({ vmState, taskState, migrationId, deleteAsked }: ServerRecord): boolean =>
  MOVABLE.includes(vmState) && taskState === "" && migrationId === "" && !deleteAsked;

/** The one guarded update by which confirm, revert, auto-confirm and delete exclude each other (SAFETY R15). */
async function decide(record: MigrationRecord, to: "confirming" | "reverting", write: Write): Promise<void> {
  if (await decideMigration(write.queries, record.id, record.status, to, write.nowMs)) return;
  throw new Fault("conflict", `migration ${record.id} has been decided already`);
}

/** A request that comes late, or twice, must not decide on what nobody had seen when it was made (SAFETY R3). */
function refuseAnother({ id, serverName }: MigrationRecord, meant = ""): void {
  if (meant === "" || meant === id) return;
  throw new Fault("conflict", `${serverName} waits for a verdict on another migration`, {
    have: `migration ${id}`,
    need: `migration ${meant}`,
    fix: `look at it first: ferry migration show ${id}`,
  });
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
