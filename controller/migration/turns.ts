/**
 * Turns of migrations, kept in the store: who waits and who copies survives a restart, and holds for every controller on it.
 * A migration asks when it has its target and before anything is asked of a host, so that whoever waits has a running guest
 * and holds nothing but its booking.
 */

import { Fault } from "../../proto/fault.js";
import type { Line } from "../saga/journal-line.js";
import type { Write } from "../saga/step.js";
import { appendEvent } from "../store/events.js";
import { findMigration } from "../store/migrations.js";
import type { Queries } from "../store/schema.js";
import type { Transactions } from "../store/store.js";
import {
  anyWaits,
  changeTurn,
  endTurn,
  findTurn,
  insertTurn,
  listTurns,
  type TurnRow,
  takeTurns,
} from "../store/turns.js";
import {
  inOrder,
  judgeTurns,
  MOST_PRIORITY,
  nextTurns,
  type Obstacle,
  type QueueLimits,
  type Turn,
} from "./fair-queue.js";
import type { MigrationRequest } from "./request.js";

/** The step that waits for its turn. */
export const TURN_STEP = "prepare-target";

const turnOf = (row: TurnRow): Turn => ({
  migration: row.migration,
  sourceHost: row.source_host,
  targetHost: row.target_host,
  queuedAtMs: row.queued_at_ms,
  priority: row.priority,
  taken: row.taken === 1,
});

/** In the transaction that would begin the step: is it this migration's turn? It is in the queue from then on. */
export async function askTurn(
  { sourceHost, priority = 0 }: MigrationRequest,
  { queries, sagaId, nowMs }: Write,
  limits: QueueLimits,
): Promise<boolean> {
  const known = await findTurn(queries, sagaId);
  if (known?.taken === 1) return true;
  if (known === undefined) {
    const targetHost = (await findMigration(queries, sagaId))?.targetHost ?? "";
    const hosts = { source_host: sourceHost, target_host: targetHost };
    await insertTurn(queries, { migration: sagaId, ...hosts, queued_at_ms: nowMs, priority, taken: 0 });
  }
  const isNext = nextTurns((await listTurns(queries)).map(turnOf), limits, nowMs).includes(sagaId);
  if (isNext) await takeTurns(queries, [sagaId]);
  else if (known === undefined) await appendEvent(queries, sagaId, "waits for its turn", nowMs);
  return isNext;
}

/** In the transaction of a line: whoever rests, has ended or waits for a person copies nothing. */
export async function leaveTurn(line: Line, { queries, sagaId }: Write): Promise<void> {
  if (isLast(line)) return endTurn(queries, sagaId);
  if (line.kind !== "unwinding") return;
  const turn = await findTurn(queries, sagaId);
  if (turn?.taken === 0) await endTurn(queries, sagaId);
}

/** It may be somebody else's turn after such a line. */
export const freesTurn = (line: Line): boolean => isLast(line) || line.kind === "unwinding";

const isLast = ({ kind }: Line): boolean => kind === "waiting" || kind === "ended" || kind === "stuck";

/** Gives the turns that are free; whose they are now. */
export async function giveTurns(store: Transactions, limits: QueueLimits, nowMs: number): Promise<string[]> {
  if (!(await anyWaits(store.queries))) return [];
  return store.transaction(async queries => {
    const next = nextTurns((await listTurns(queries)).map(turnOf), limits, nowMs);
    await takeTurns(queries, next);
    return next;
  });
}

/** One that waits for its turn, and why. `next`: for nothing; whoever gives turns has not come to it. */
export interface Waiting {
  readonly reason: Obstacle | "next";
  readonly queuedAtMs: number;
}

export async function waitingTurns(
  queries: Queries,
  limits: QueueLimits,
  nowMs: number,
): Promise<readonly Waiting[]> {
  const judged = judgeTurns((await listTurns(queries)).map(turnOf), limits, nowMs);
  return judged.map(({ turn: { queuedAtMs }, waitsFor }) => ({ reason: waitsFor ?? "next", queuedAtMs }));
}

/** Places of those that wait, from 1. */
export async function placesInQueue(queries: Queries): Promise<ReadonlyMap<string, number>> {
  const waiting = inOrder((await listTurns(queries)).map(turnOf));
  return new Map(waiting.map(({ migration }, index) => [migration, index + 1]));
}

export function checkedPriority(priority: number): number {
  if (Number.isInteger(priority) && Math.abs(priority) <= MOST_PRIORITY) return priority;
  throw new Fault("invalid-argument", `${priority} is no priority`, {
    need: `a whole number from -${MOST_PRIORITY} to ${MOST_PRIORITY}`,
  });
}

/** Of a migration that waits; one that has begun has its turn already. */
export async function setPriority(
  store: Transactions,
  id: string,
  priority: number,
  recorded: (queries: Queries) => Promise<void>,
): Promise<void> {
  checkedPriority(priority);
  await store.transaction(async queries => {
    const turn = await findTurn(queries, id);
    if (turn?.taken !== 0) throw new Fault("conflict", `migration ${id} does not wait for its turn`);
    await changeTurn(queries, id, { priority });
    await recorded(queries);
  });
}
