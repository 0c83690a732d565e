/** The rows of operations: accepted → running → done | failed; `interrupted` is what a restart finds unfinished. */

import { PerformResult } from "../../proto/gen/ferry/v1/agent.js";
import { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { readStored } from "../../proto/stored.js";
import type { Journal } from "./journal.js";

export type OperationState = "accepted" | "done" | "failed" | "interrupted";

export interface OperationRow {
  readonly key: string;
  readonly serverId: string;
  readonly migrationId: string;
  readonly epoch: number;
  readonly verb: string;
  readonly requestHash: string;
  readonly state: OperationState;
  readonly result: PerformResult | undefined;
  readonly fault: FaultInfo | undefined;
}

interface Row {
  key: string;
  server: string;
  migration: string;
  epoch: number;
  verb: string;
  request_hash: string;
  state: OperationState;
  outcome: string;
}

export class OperationRows {
  readonly #journal: Journal;
  readonly #now: () => number;

  constructor(journal: Journal, now: () => number) {
    this.#journal = journal;
    this.#now = now;
  }

  find(key: string): OperationRow | undefined {
    const row = this.#journal.database
      .prepare<[string], Row>("SELECT * FROM operation WHERE key = ?")
      .get(key);
    return row && operationOf(row);
  }

  /** In the order in which they were last asked. */
  ofMigration(migrationId: string): OperationRow[] {
    return this.#journal.database
      .prepare<[string], Row>("SELECT * FROM operation WHERE migration = ? ORDER BY at_ms, rowid")
      .all(migrationId)
      .map(operationOf);
  }

  /** Journals the intent; a key that failed or was interrupted before is accepted anew. */
  accept(row: Omit<OperationRow, "state" | "result" | "fault">): void {
    const statement = this.#journal.database.prepare(`
      INSERT INTO operation VALUES (@key, @serverId, @migrationId, @epoch, @verb, @requestHash, 'accepted', '', @at)
      ON CONFLICT (key) DO UPDATE SET state = 'accepted', epoch = excluded.epoch, outcome = '', at_ms = excluded.at_ms`);
    this.#journal.write(() => statement.run({ ...row, at: this.#now() }));
  }

  finish(key: string, result: PerformResult): void {
    this.#settle(key, "done", JSON.stringify(PerformResult.toJSON(result)));
  }

  fail(key: string, fault: FaultInfo): void {
    this.#settle(key, "failed", JSON.stringify(FaultInfo.toJSON(fault)));
  }

  /** At start: whatever was under way is interrupted; nothing resumes without a controller's current epoch. */
  interruptAll(): number {
    const statement = this.#journal.database.prepare(
      "UPDATE operation SET state = 'interrupted' WHERE state = 'accepted'",
    );
    return this.#journal.write(() => statement.run().changes);
  }

  #settle(key: string, state: OperationState, outcome: string): void {
    const statement = this.#journal.database.prepare(
      "UPDATE operation SET state = ?, outcome = ?, at_ms = ? WHERE key = ?",
    );
    this.#journal.write(() => statement.run(state, outcome, this.#now(), key));
  }
}

export const operationOf = (row: Row): OperationRow => ({
  key: row.key,
  serverId: row.server,
  migrationId: row.migration,
  epoch: row.epoch,
  verb: row.verb,
  requestHash: row.request_hash,
  state: row.state,
  result: row.state === "done" ? outcomeOf(row, PerformResult) : undefined,
  fault: row.state === "failed" ? outcomeOf(row, FaultInfo) : undefined,
});

const outcomeOf = <Outcome>(row: Row, codec: { fromJSON(json: unknown): Outcome }): Outcome =>
  readStored(`the agent's journal: the outcome of ${row.key}`, () => codec.fromJSON(JSON.parse(row.outcome)));
