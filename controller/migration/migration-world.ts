/**
 * What the steps of a migration can touch: agents by verb, the record, the clock. One world per carrying-out of a
 * step; whatever it asks of an agent carries the saga's epoch and a key that names the intended effect.
 */

import { asFault, Fault } from "../../proto/fault.js";
import type { AttestResponse, PerformRequest, PerformResult } from "../../proto/gen/ferry/v1/agent.js";
import type { Progress } from "../../proto/gen/ferry/v1/model.js";
import type { Clock } from "../clock.js";
import type { AgentPort } from "../fleet/agent-port.js";
import type { Line } from "../saga/journal-line.js";
import type { StepCall, Write } from "../saga/step.js";
import type { Scheduler } from "../scheduler/scheduler.js";
import { findMigration, type MigrationRecord, updateMigration } from "../store/migrations.js";
import { findServer, findServerById } from "../store/servers.js";
import type { Transactions } from "../store/store.js";
import { noteMigration } from "./notify.js";
import { type Aim, wantedOf } from "./schedule-request.js";

export type Verb = NonNullable<PerformRequest["verb"]>;

export interface WorldEdges {
  readonly store: Transactions;
  readonly agent: AgentPort;
  readonly clock: Clock;
  readonly scheduler: Pick<Scheduler, "selectWhenHeard">;
  /** Something that readers see has changed, without a line of the journal. */
  readonly changed: (migrationId: string) => void;
  readonly onLine: (migrationId: string, line: Line) => void;
}

export interface PerformOptions {
  /** In place of "<step>:<phase>", for an effect that several steps ask for or one asks for anew. */
  readonly effect?: string;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** Progress is shown four times a second but need not be durable that often. */
const PROGRESS_INTERVAL_MS = 1_000;

export class MigrationWorld {
  readonly call: StepCall;
  readonly #edges: WorldEdges;
  readonly #serverId: string;
  #progressWrittenMs = Number.NEGATIVE_INFINITY;

  constructor(call: StepCall, serverId: string, edges: WorldEdges) {
    this.call = call;
    this.#serverId = serverId;
    this.#edges = edges;
  }

  get nowMs(): number {
    return this.#edges.clock.nowMs();
  }

  /** Hosts that would do, best first; what was asked when the server was made holds for this move too. */
  async selectHosts(aim: Aim, count: number): Promise<string[]> {
    const { store, scheduler } = this.#edges;
    return scheduler.selectWhenHeard(wantedOf(await findServer(store.queries, this.#serverId), aim), count);
  }

  async record(): Promise<MigrationRecord> {
    const record = await findMigration(this.#edges.store.queries, this.call.sagaId);
    if (record === undefined) throw new Fault("not-found", `migration ${this.call.sagaId} has no record`);
    return record;
  }

  /** Where the server is being brought; empty before a target was selected. */
  async targetHost(): Promise<string> {
    return (await this.record()).targetHost;
  }

  /** Asks an agent for a verb; what it notes becomes part of the record. Faults say what was attempted and where. */
  async perform(host: string, verb: Verb, options: PerformOptions = {}): Promise<PerformResult> {
    const effect = options.effect ?? `${this.call.step}:${this.call.phase}`;
    const request: PerformRequest = {
      key: `${this.call.sagaId}:${effect}:${snakeCase(verb.$case)}`,
      serverId: this.#serverId,
      migrationId: this.call.sagaId,
      ...(await this.#authority()),
      limitMs: this.call.limitMs,
      verb,
    };
    const notes: string[] = [];
    try {
      return await this.#edges.agent.perform(host, request, {
        signal: options.signal ?? this.call.signal,
        onNote: note => notes.push(note),
        ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
      });
    } catch (error) {
      throw asFault(error).during(`${snakeCase(verb.$case).replaceAll("_", "-")} on ${host}`);
    } finally {
      for (const note of notes) await this.note(note);
    }
  }

  /** Rejects with the signal's reason when that aborts first. */
  pause(durationMs: number, signal: AbortSignal): Promise<void> {
    return this.#edges.clock.sleep(durationMs, signal);
  }

  attest(host: string): Promise<AttestResponse> {
    return this.#edges.agent.attest(host, this.#serverId, this.call.signal);
  }

  /** How this migration was closed at a host, by its own word; empty while it is open there. */
  async closedAs(host: string): Promise<string> {
    const { sagaId: migrationId, signal } = this.call;
    const asked = { serverId: this.#serverId, migrationId };
    return (await this.#edges.agent.describeMigration(host, asked, signal)).outcome;
  }

  commit<T>(body: (write: Write) => Promise<T>): Promise<T> {
    return this.call.commit(body);
  }

  /** Something that a person should know, once. */
  async note(text: string): Promise<void> {
    if (this.call.signal.aborted) return;
    const { notes } = await this.record();
    if (notes.includes(text)) return;
    await this.commit(async ({ queries, sagaId, nowMs }) => {
      await updateMigration(queries, sagaId, { notes: [...notes, text] }, nowMs);
      await noteMigration(queries, sagaId, text, nowMs);
    });
    this.#edges.changed(this.call.sagaId);
  }

  /** Of the copy under way; the last one is written by whoever ends the copy. */
  progress(progress: Progress): void {
    const sinceMs = this.#edges.clock.monotonicMs() - this.#progressWrittenMs;
    if (sinceMs < PROGRESS_INTERVAL_MS || this.call.signal.aborted) return;
    this.#progressWrittenMs = this.#edges.clock.monotonicMs();
    // Progress that could not be written is not worth failing a copy for.
    this.#writeProgress(progress).catch(() => undefined);
  }

  async #writeProgress(progress: Progress): Promise<void> {
    await this.commit(({ queries, sagaId, nowMs }) => updateMigration(queries, sagaId, { progress }, nowMs));
    this.#edges.changed(this.call.sagaId);
  }

  /**
   * The saga's epoch and term; while tidying, the server's present ones: by then the server is free for its next owner,
   * who may have raised them, and what is tidied was withdrawn and belongs to this migration alone.
   */
  async #authority(): Promise<{ epoch: number; term: number }> {
    const { epoch, term, phase } = this.call;
    if (phase !== "tidy") return { epoch, term };
    const server = await findServerById(this.#edges.store.queries, this.#serverId);
    return { epoch: Math.max(epoch, server?.epoch ?? 0), term: Math.max(term, server?.term ?? 0) };
  }
}

const snakeCase = (name: string): string => name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
