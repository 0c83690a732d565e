/**
 * Reads and writes sagas as their owner. A line, the step's own writes and what readers see of it are one
 * transaction; if the saga has another owner or epoch by now nothing is written and `Fenced` is thrown. An owner without
 * a lease, or one whose saga rests and waits for a person, is succeeded: with a new term, so that agents refuse it from
 * then on.
 */

import type { Clock } from "../clock.js";
import { readFreeze } from "../store/freeze.js";
import {
  appendLine,
  findOrphan,
  findSaga,
  insertSaga,
  ownsSaga,
  readJournal,
  type SagaRow,
  takeSaga,
} from "../store/sagas.js";
import type { Queries } from "../store/schema.js";
import type { Transactions } from "../store/store.js";
import { apply, type SagaState } from "./fold.js";
import { encodeJson, type Line } from "./journal-line.js";
import type { SagaKind } from "./kind.js";
import type { Facts } from "./plan.js";
import { RememberedSagas } from "./remembered-sagas.js";
import type { Write } from "./step.js";

/** Somebody else owns the saga: stop without writing. */
export class Fenced extends Error {
  constructor(sagaId: string) {
    super(`saga ${sagaId} is not this process's any more`);
    this.name = "Fenced";
  }
}

/** The store is older than the world: nothing moves until a person has raised the epochs. */
export class Frozen extends Error {
  constructor(sagaId: string) {
    super(`saga ${sagaId} is frozen`);
    this.name = "Frozen";
  }
}

export interface LoadedSaga {
  readonly row: SagaRow;
  readonly state: SagaState;
}

export class SagaJournal<World> {
  readonly #store: Transactions;
  readonly #clock: Clock;
  readonly #owner: string;
  readonly #kind: SagaKind<World>;
  readonly #remembered: RememberedSagas;

  constructor(store: Transactions, clock: Clock, owner: string, kind: SagaKind<World>) {
    this.#store = store;
    this.#clock = clock;
    this.#owner = owner;
    this.#kind = kind;
    this.#remembered = new RememberedSagas(kind.plan);
  }

  /** Begins a saga within the caller's transaction; its first step's `begun` is written with it. */
  async create(queries: Queries, id: string, request: Facts): Promise<void> {
    const first = this.#kind.plan.reversible[0]?.name ?? "";
    const write = { queries, sagaId: id, epoch: 0, nowMs: this.#clock.nowMs() };
    const epoch = await this.#kind.raiseEpoch(request, write);
    const kind = this.#kind.plan.name;
    const term = await this.#kind.raiseTerm(request, { ...write, epoch });
    await insertSaga(queries, { id, kind, input: encodeJson(request), owner: this.#owner, epoch, term });
    await this.#write(queries, await this.load(id, queries), { kind: "begun", step: first });
  }

  /** Takes one saga over that has no owner at work any more; its id, or nothing when there is none. */
  async adopt(): Promise<string | undefined> {
    const adopted = await this.#store.transaction(async queries => {
      const id = await findOrphan(queries, this.#kind.plan.name, this.#owner);
      if (id === undefined) return undefined;
      const orphan = await this.load(id, queries);
      await this.#succeed(queries, orphan);
      return orphan;
    });
    if (adopted !== undefined) this.#kind.adopted(adopted.row.id, adopted.state);
    return adopted?.row.id;
  }

  /** Becomes the owner of a saga that waits for a person, whose word this process has. Nothing when it is its already. */
  async takeAtRest(saga: LoadedSaga): Promise<LoadedSaga> {
    if (this.owns(saga)) return saga;
    return this.#store.transaction(queries => this.takeWithin(queries, saga));
  }

  /** The same in a transaction of the caller's. */
  async takeWithin(queries: Queries, saga: LoadedSaga): Promise<LoadedSaga> {
    if (this.owns(saga)) return saga;
    const now = await this.load(saga.row.id, queries);
    if (now.row.length !== saga.row.length) throw new Fenced(saga.row.id);
    await this.#succeed(queries, now);
    return this.load(saga.row.id, queries);
  }

  owns({ row }: LoadedSaga): boolean {
    return row.owner === this.#owner;
  }

  async load(id: string, queries = this.#store.queries): Promise<LoadedSaga> {
    const row = await findSaga(queries, id);
    if (row === undefined) throw new Fenced(id);
    const state = await this.#remembered.stateOf(id, row.input, seq => readJournal(queries, id, seq));
    return { row, state };
  }

  /** One transaction: the guard, the line, the step's own writes, what readers see; `also` may refuse by throwing. */
  async append(saga: LoadedSaga, line: Line, also?: (write: Write) => Promise<void>): Promise<void> {
    await this.#store.transaction(async queries => {
      await this.#write(queries, saga, line, also);
    });
    this.#kind.committed(saga.row.id, line);
  }

  /** False: its turn has not come; what was written to ask for it stays. */
  async begin(saga: LoadedSaga, step: string): Promise<boolean> {
    const { row, state } = saga;
    const line: Line = { kind: "begun", step };
    const begun = await this.#store.transaction(async queries => {
      const { id, epoch } = row;
      const write = { queries, sagaId: id, epoch, nowMs: this.#clock.nowMs() };
      const mayBegin = await this.#kind.mayBegin?.(step, state.known, write);
      if (mayBegin !== false) await this.#write(queries, saga, line);
      else if (!(await ownsSaga(queries, { id, owner: this.#owner, epoch }))) throw new Fenced(id);
      return mayBegin !== false;
    });
    if (begun) this.#kind.committed(row.id, line);
    else this.#kind.waits?.(row.id);
    return begun;
  }

  /** In a transaction of the caller's, who tells the readers afterwards. */
  appendWithin(queries: Queries, saga: LoadedSaga, line: Line): Promise<void> {
    return this.#write(queries, saga, line);
  }

  /** A step's own transaction. */
  commit<T>(saga: LoadedSaga, body: (write: Write) => Promise<T>): Promise<T> {
    const { id, epoch } = saga.row;
    return this.#store.transaction(async queries => {
      await refuseFrozenSaga(queries, id);
      if (!(await ownsSaga(queries, { id, owner: this.#owner, epoch }))) throw new Fenced(id);
      return body({ queries, sagaId: id, epoch, nowMs: this.#clock.nowMs() });
    });
  }

  async #succeed(queries: Queries, { row, state }: LoadedSaga): Promise<void> {
    const write = { queries, sagaId: row.id, epoch: row.epoch, nowMs: this.#clock.nowMs() };
    await takeSaga(queries, row.id, this.#owner, await this.#kind.raiseTerm(state.known, write));
  }

  async #write(
    queries: Queries,
    { row, state }: LoadedSaga,
    line: Line,
    also?: (write: Write) => Promise<void>,
  ): Promise<void> {
    await refuseFrozenSaga(queries, row.id);
    const atMs = this.#clock.nowMs();
    const next = apply(this.#kind.plan, state, { line, atMs });
    const before: Write = { queries, sagaId: row.id, epoch: row.epoch, nowMs: atMs };
    const changesHands = next.phase === "unwinding" && state.phase !== "unwinding";
    const epoch = changesHands ? await this.#kind.raiseEpoch(state.known, before) : row.epoch;
    const guard = { id: row.id, owner: this.#owner, epoch: row.epoch, length: row.length };
    const entry = { line: encodeJson(line), atMs, epoch, live: next.phase !== "ended" };
    if (!(await appendLine(queries, guard, entry))) throw new Fenced(row.id);
    const write = { ...before, epoch };
    await this.#record(next, line, write);
    await also?.(write);
    await this.#kind.follow(next, line, write);
  }

  async #record({ known }: SagaState, line: Line, write: Write): Promise<void> {
    const { reversible, onward } = this.#kind.plan;
    if (line.kind === "begun" || line.kind === "done") {
      await [...reversible, ...onward].find(step => step.name === line.step)?.[line.kind]?.(known, write);
    }
    if (line.kind === "undone")
      await reversible.find(step => step.name === line.step)?.undone?.(known, write);
  }
}

async function refuseFrozenSaga(queries: Queries, id: string): Promise<void> {
  if ((await readFreeze(queries)) !== undefined) throw new Frozen(id);
}
