/**
 * What a person or a program can ask of migrations. Whatever changes the course of one is decided by one guarded
 * transaction and carried out by its saga; the caller is answered as soon as the decision is durable.
 */

import { Fault } from "../../proto/fault.js";
import type { VerifyReceiptResponse } from "../../proto/gen/ferry/v1/controller.js";
import type { CopiedFile, FaultInfo, HostVerdict, Migration } from "../../proto/gen/ferry/v1/model.js";
import { SagaRunner } from "../saga/runner.js";
import type { LoadedSaga } from "../saga/saga-journal.js";
import { refuseFrozen } from "../store/freeze.js";
import type { Topic } from "../store/hints.js";
import type { MigrationSelection } from "../store/migration-selection.js";
import {
  findMigration,
  listBriefMigrations,
  listMigrations,
  type MigrationRecord,
  migrationMessage,
} from "../store/migrations.js";
import { listLiveSagas } from "../store/sagas.js";
import type { Queries } from "../store/schema.js";
import { actionsOn, recordAction, recordSetting } from "./actions.js";
import { Changes } from "./changes.js";
import type { MigrationDependencies } from "./dependencies.js";
import { limitBandwidth } from "./limit-bandwidth.js";
import { migrationKind } from "./migration-kind.js";
import type { MigrationWorld } from "./migration-world.js";
import { type Begun, type MigrateRequest, Moves, type ResizeRequest } from "./moves.js";
import { type Recovered, type RecoverRequest, recover } from "./recover.js";
import { type RequestedBy, requesterOf } from "./requester.js";
import { story } from "./story.js";
import { TurnGiver } from "./turn-giver.js";
import { placesInQueue, type Waiting } from "./turns.js";
import { type ConfirmOptions, type RevertRequest, Verdicts } from "./verdicts.js";
import { verifyReceipt } from "./verify-receipt.js";
import { type MigrationChange, watchMigration } from "./watch.js";

export interface MigrateAnswer {
  /** Absent for a dry run. */
  readonly migration: Migration | undefined;
  /** Of a dry run only. */
  readonly verdicts: HostVerdict[];
}

export interface RecoverAnswer extends Recovered {
  readonly migration: Migration;
}

export class Migrations {
  readonly #deps: MigrationDependencies;
  readonly #changes = new Changes();
  readonly #runner: SagaRunner<MigrationWorld>;
  readonly #turns: TurnGiver;
  readonly #moves: Moves;
  readonly #verdicts: Verdicts;
  readonly #deafen: () => void;

  constructor(deps: MigrationDependencies) {
    this.#deps = deps;
    const { store, agent, clock, random, owner, onBug, onLine, onTakenUp, scheduler, hints } = deps;
    const changed = (id: string) => {
      this.#changes.notify(id);
      hints.announce("migration", id);
    };
    const { maxConcurrent: total, maxConcurrentPerHost: perHost } = deps.settings;
    const turns = { queueLimits: { total, perHost }, turnFreed: () => this.#turns.freed() };
    const kind = migrationKind({ store, agent, clock, scheduler, changed, onLine, onTakenUp, ...turns });
    this.#runner = new SagaRunner({ store, clock, random, owner, onBug, kind });
    const withRunner = { ...deps, runner: this.#runner };
    this.#turns = new TurnGiver({ ...withRunner, limits: turns.queueLimits });
    this.#moves = new Moves(withRunner);
    this.#verdicts = new Verdicts(withRunner);
    this.#deafen = hints.listen((topic, id) => this.#hear(topic, id));
  }

  /** Resumes every live migration that nobody carries out, from its journal; answers how many. */
  adoptOrphans(): Promise<number> {
    return this.#runner.adoptOrphans();
  }

  /** Until the signal aborts: gives turns that nobody gave. */
  followTurns(signal: AbortSignal): Promise<void> {
    return this.#turns.follow(signal);
  }

  /** Those that wait for their turn, and why. */
  waiting(): Promise<readonly Waiting[]> {
    return this.#turns.waiting();
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
    return this.#answer(await this.#moves.migrate(asked));
  }

  /** The same saga to another flavor, on a host of the scheduler's choice. */
  async resize(asked: ResizeRequest): Promise<MigrateAnswer> {
    return this.#answer(await this.#moves.resize(asked));
  }

  /** The server stays on its target; the source is destroyed. Resolves when that is decided, not when it is done. */
  async confirm(server: string, requestedBy: RequestedBy, options: ConfirmOptions = {}): Promise<Migration> {
    return this.show(await this.#verdicts.confirm(server, requestedBy, options));
  }

  /** The server goes back to its source, as it was; what it wrote on the target since then is lost. */
  async revert(server: string, request: RevertRequest): Promise<Migration> {
    return this.show(await this.#verdicts.revert(server, request));
  }

  /** Takes everything back, as long as the target's CPUs cannot have run. */
  async cancel(id: string, requestedBy: RequestedBy): Promise<Migration> {
    const { store, hints, clock, newId } = this.#deps;
    const { serverId } = await this.#find(id);
    await refuseFrozen(store.queries);
    const requester = requesterOf(requestedBy, newId);
    const asked = { serverId, action: "cancelMigration", migrationId: id };
    await this.#runner.cancel(id, requester.by, queries =>
      recordAction(queries, asked, requester, clock.nowMs()),
    );
    hints.announce("saga", id);
    return this.show(id);
  }

  /** Looks at both hosts, says what it sees and what it would do, and does it unless only the plan was asked for. */
  async recover(id: string, request: RecoverRequest): Promise<RecoverAnswer> {
    const recovered = await recover(await this.#find(id), request, { ...this.#deps, runner: this.#runner });
    return { migration: await this.show(id), ...recovered };
  }

  /** Within the caller's transaction: stuck until a person has looked. */
  park(queries: Queries, id: string, step: string, fault: FaultInfo): Promise<void> {
    return this.#runner.park(queries, id, { step, fault });
  }

  /** How far ahead of others a migration waits for its turn. */
  async prioritise(id: string, priority: number, requestedBy: RequestedBy): Promise<void> {
    const { newId, clock } = this.#deps;
    const record = await this.#find(id);
    const requester = requesterOf(requestedBy, newId);
    await this.#turns.prioritise(id, priority, queries =>
      recordSetting(queries, record, `priority ${priority}`, requester, clock.nowMs()),
    );
  }

  /** How fast its disks may be copied from now on; 0: as fast as it goes. */
  async limit(id: string, bytesPerSecond: number, requestedBy: RequestedBy): Promise<Migration> {
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

  /** With all that was asked about it. */
  async show(id: string): Promise<Migration> {
    const { queries } = this.#deps.store;
    const [record, places] = [await this.#find(id), await placesInQueue(queries)];
    return { ...migrationMessage(record, places.get(id)), actions: await actionsOn(queries, record) };
  }

  /** Newest first; `brief`: without steps, receipt, notes and progress. */
  async list(selection: MigrationSelection = {}, { brief = false } = {}): Promise<Migration[]> {
    const find = brief ? listBriefMigrations : listMigrations;
    const { queries } = this.#deps.store;
    const [found, places] = [await find(queries, selection), await placesInQueue(queries)];
    return found.map(record => migrationMessage(record, places.get(record.id)));
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

  /** Of another controller. A hint that cannot be followed now comes again; a turn whose word was lost is found by looking. */
  #hear(topic: Topic, id: string | undefined): void {
    if (topic === "saga") this.#runner.notice(id).catch(() => undefined);
    else if (topic === "migration") this.#changes.notify(id);
    else if (id !== undefined) this.#runner.wake(id);
  }

  async #answer(begun: Begun): Promise<MigrateAnswer> {
    return "verdicts" in begun
      ? { migration: undefined, verdicts: begun.verdicts }
      : { migration: await this.show(begun.migrationId), verdicts: [] };
  }

  async #find(id: string): Promise<MigrationRecord> {
    const record = await findMigration(this.#deps.store.queries, id);
    if (record === undefined) throw new Fault("not-found", `Migration ${id} could not be found.`);
    return record;
  }
}
