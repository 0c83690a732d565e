/**
 * Runs verbs exactly once in effect, whoever asks how often (durability rules of DESIGN §6).
 *
 *   key done? answered, and whoever asks is heard as the newest if so
 *   → tombstone? → epoch (older refused; newer aborts and awaits the older one first) → term (older refused)
 *   → key under way? attach
 *   → wait for the server's turn → too late? refused → journal "accepted" → run → journal the outcome → answer
 *
 * A key is bound to its request: the same key with another request is a bug of the caller and refused. A failed or
 * interrupted key may be tried again; a done one answers from the journal for ever.
 */

import { createHash } from "node:crypto";
import { asFault, Fault } from "../proto/fault.js";
import { toFaultInfo } from "../proto/fault-info.js";
import {
  type OperationReport,
  PerformRequest,
  type PerformResponse,
  type PerformResult,
} from "../proto/gen/ferry/v1/agent.js";
import type { Documents } from "./journal/documents.js";
import type { Guests } from "./journal/guests.js";
import type { Journal } from "./journal/journal.js";
import type { OperationRow, OperationRows } from "./journal/operations.js";
import { RunningOperation } from "./running-operation.js";
import type { Call } from "./verbs/verb.js";

export type VerbName = NonNullable<PerformRequest["verb"]>["$case"];

/** Carries out the verb of a request. */
export type Dispatch = (request: PerformRequest, call: Call) => Promise<PerformResult>;

interface Dependencies {
  readonly journal: Journal;
  readonly rows: OperationRows;
  readonly guests: Guests;
  readonly documents: Documents;
  readonly dispatch: Dispatch;
  /** For intervals; never steps. */
  readonly monotonicMs: () => number;
}

export class Operations {
  readonly #deps: Dependencies;
  readonly #running = new Map<string, RunningOperation>();
  /** Requests are admitted one at a time per server, so that two newer epochs cannot interleave. */
  readonly #admission = new Map<string, Promise<unknown>>();

  constructor(deps: Dependencies) {
    this.#deps = deps;
    deps.rows.interruptAll();
  }

  /** Starts or attaches; yields progress and notes and ends with a result or a fault. */
  async *perform(request: PerformRequest, signal: AbortSignal): AsyncGenerator<PerformResponse> {
    let running: RunningOperation;
    const deadlineMs = this.#deadlineOf(request);
    try {
      // Before queueing: what is waiting for an older operation must not keep the newer epoch waiting too.
      await this.#stopOlder(request);
      const admitted = await this.#inTurn(request.serverId, () => this.#admit(request, deadlineMs));
      if (!(admitted instanceof RunningOperation)) {
        yield { update: { $case: "result", value: admitted } };
        return;
      }
      running = admitted;
    } catch (error) {
      yield { update: { $case: "fault", value: toFaultInfo(asFault(error)) } };
      return;
    }
    yield* running.follow(signal);
  }

  find(key: string): { state: string; row: OperationRow | undefined } {
    const row = this.#deps.rows.find(key);
    const state = this.#running.has(key) ? "running" : (row?.state ?? "unknown");
    return { state, row };
  }

  /** In the order in which they were last asked. */
  ofMigration(migrationId: string): OperationReport[] {
    return this.#deps.rows.ofMigration(migrationId).map(({ key, epoch, state }) => ({
      key,
      epoch,
      state: this.#running.has(key) ? "running" : state,
    }));
  }

  /** Asks a running operation to stop and waits until it has. */
  async cancel(key: string): Promise<void> {
    await this.#running.get(key)?.stop(new Fault("cancelled", "cancelled by the controller"));
  }

  /** Aborts everything and waits; used at shutdown. */
  async close(): Promise<void> {
    const reason = new Fault("unreachable", "the agent is stopping");
    await Promise.all([...this.#running.values()].map(operation => operation.stop(reason)));
  }

  async #inTurn<T>(serverId: string, body: () => Promise<T>): Promise<T> {
    const before = this.#admission.get(serverId) ?? Promise.resolve();
    const turn = before.then(body, body);
    this.#admission.set(serverId, turn);
    try {
      return await turn;
    } finally {
      if (this.#admission.get(serverId) === turn) this.#admission.delete(serverId);
    }
  }

  /** By this agent's own clock, from the receipt of the call on. */
  #deadlineOf({ limitMs }: PerformRequest): number {
    return limitMs === 0 ? Number.POSITIVE_INFINITY : this.#deps.monotonicMs() + limitMs;
  }

  /** Whoever asked has given up on it by now, and may have asked for something else since. */
  #refuseLate({ key, limitMs }: PerformRequest, deadlineMs: number): void {
    if (this.#deps.monotonicMs() < deadlineMs) return;
    throw new Fault("timeout", `${key} was not begun: it had to wait for longer than its ${limitMs} ms`);
  }

  async #admit(request: PerformRequest, deadlineMs: number): Promise<RunningOperation | PerformResult> {
    const verb = verbOf(request);
    const requestHash = hashOf(request);
    const answered = this.#answerOf(request.key, requestHash);
    if (answered !== undefined) {
      // Who comes after another one is heard as such, also where there is nothing left to do.
      if (this.#isNewer(request)) await this.#raiseEpoch(request);
      return answered;
    }

    this.#refuseClosed(request);
    await this.#raiseEpoch(request);
    const attached = this.#running.get(request.key);
    if (attached !== undefined) return attached;
    await this.#awaitTurn(request.serverId);

    // Asked again: it may have ended while we waited. From here to `begin` nothing awaits.
    const sinceAnswered = this.#answerOf(request.key, requestHash);
    if (sinceAnswered !== undefined) return sinceAnswered;
    this.#refuseLate(request, deadlineMs);
    this.#deps.journal.assertRoom();
    const { key, serverId, migrationId, epoch } = request;
    this.#deps.rows.accept({ key, serverId, migrationId, epoch, verb, requestHash });
    return this.#begin(request);
  }

  #answerOf(key: string, requestHash: string): PerformResult | undefined {
    const known = this.#deps.rows.find(key);
    if (known !== undefined && known.requestHash !== requestHash) {
      throw new Fault("invalid-argument", `operation ${key} was asked before with another request`);
    }
    return known?.result;
  }

  #refuseClosed({ migrationId, verb }: PerformRequest): void {
    if (migrationId === "") return;
    const outcome = this.#deps.documents.tombstone(migrationId);
    if (outcome === undefined) return;
    // Killed between the tombstone and the answer: the same end may be asked for again.
    if (verb?.$case === "closeMigration" && verb.value.outcome === outcome) return;
    throw new Fault("stale-epoch", `migration ${migrationId} is closed on this host (${outcome})`);
  }

  /**
   * An older operation must not land after the newer owner was answered: stop it, wait, then record the epoch. A newer
   * term is another controller with the same intent: what is under way is gone on with, and the one before is refused.
   */
  async #raiseEpoch({ serverId, epoch, term }: PerformRequest): Promise<void> {
    const known = this.#deps.guests.find(serverId);
    const [highest, latest] = [known?.epoch ?? 0, known?.term ?? 0];
    if (epoch < highest) throw stale(serverId, "epoch", epoch, highest);
    if (epoch === highest && term < latest) throw stale(serverId, "term", term, latest);
    if (epoch === highest && term === latest) return;
    if (epoch > highest) await this.#stopOlder({ serverId, epoch });
    this.#deps.guests.update(serverId, { epoch, term });
  }

  #isNewer({ serverId, epoch, term }: PerformRequest): boolean {
    const known = this.#deps.guests.find(serverId);
    const [highest, latest] = [known?.epoch ?? 0, known?.term ?? 0];
    return epoch > highest || (epoch === highest && term > latest);
  }

  async #stopOlder({ serverId, epoch }: Pick<PerformRequest, "serverId" | "epoch">): Promise<void> {
    const older = [...this.#running.values()].filter(
      operation => operation.isOf(serverId) && operation.epoch < epoch,
    );
    const reason = new Fault("stale-epoch", `superseded by epoch ${epoch}`);
    await Promise.all(older.map(operation => operation.stop(reason)));
  }

  /** One mutating operation per server at a time; the next one waits for the one before to settle. */
  async #awaitTurn(serverId: string): Promise<void> {
    const before = [...this.#running.values()].filter(operation => operation.isOf(serverId));
    await Promise.all(before.map(operation => operation.settled));
  }

  #begin(request: PerformRequest): RunningOperation {
    const operation = new RunningOperation(request);
    this.#running.set(request.key, operation);
    void this.#carryOut(request, operation);
    return operation;
  }

  async #carryOut(request: PerformRequest, operation: RunningOperation): Promise<void> {
    const { rows, dispatch } = this.#deps;
    try {
      const result = await dispatch(request, operation);
      rows.finish(request.key, result);
      this.#running.delete(request.key);
      operation.settle({ $case: "result", value: result });
    } catch (error) {
      const fault = operation.signal.aborted ? asFault(operation.signal.reason) : asFault(error);
      rows.fail(request.key, toFaultInfo(fault));
      this.#running.delete(request.key);
      operation.settle({ $case: "fault", value: toFaultInfo(fault) });
    }
  }
}

const stale = (serverId: string, what: "epoch" | "term", said: number, seen: number): Fault =>
  new Fault("stale-epoch", `${what} ${said} of server ${serverId} is older than ${seen}`, {
    have: `${what} ${said}`,
    need: `${what} ${seen} or newer`,
  });

function verbOf(request: PerformRequest): VerbName {
  if (request.verb === undefined) throw new Fault("invalid-argument", "the request names no verb");
  if (request.key === "" || request.serverId === "") {
    throw new Fault("invalid-argument", "the request needs a key and a server");
  }
  if (!NAME.test(request.serverId) || !(request.migrationId === "" || NAME.test(request.migrationId))) {
    throw new Fault(
      "invalid-argument",
      "ids of servers and migrations are words, because files are named after them",
    );
  }
  if (request.migrationId === "" && !OUTSIDE_MIGRATIONS.has(request.verb.$case)) {
    throw new Fault(
      "invalid-argument",
      `${request.verb.$case} is always part of a migration, and none is named`,
    );
  }
  if (request.epoch < 1) throw new Fault("invalid-argument", "epochs begin with 1");
  return request.verb.$case;
}

const NAME = /^[\w-]{1,64}$/;

const OUTSIDE_MIGRATIONS: ReadonlySet<VerbName> = new Set([
  "createDomain",
  "deleteDomain",
  "disownServer",
  "startDomain",
  "stopDomain",
  "takeDomain",
]);

/** The request's identity: everything but epoch and term, which a later owner of the same saga raises. */
function hashOf(request: PerformRequest): string {
  const bytes = PerformRequest.encode({ ...request, epoch: 0, term: 0, limitMs: 0 }).finish();
  return createHash("sha256").update(bytes).digest("hex");
}
