/**
 * Sagas and their journals. Every write names (owner, epoch, length): whoever is not the owner any more, speaks for an
 * older epoch or has not read the last line changes nothing and is told so. A saga whose owner has no lease any more is
 * adopted.
 */

import type { Selectable } from "kysely";
import { lockFreeRow, lockRow } from "./dialect.js";
import { isOrphaned } from "./processes.js";
import type { Queries, SagaTable } from "./schema.js";

export type SagaRow = Readonly<Selectable<SagaTable>>;

export interface SagaGuard {
  readonly id: string;
  readonly owner: string;
  readonly epoch: number;
  /** Lines of the journal that the writer has read. */
  readonly length: number;
}

export async function insertSaga(
  queries: Queries,
  saga: Pick<SagaRow, "id" | "kind" | "input" | "owner" | "epoch" | "term">,
): Promise<void> {
  await queries
    .insertInto("saga")
    .values({ ...saga, length: 0, cancel: 0, cancelled_by: "", live: 1 })
    .execute();
}

export async function findSaga(queries: Queries, id: string): Promise<SagaRow | undefined> {
  return queries.selectFrom("saga").selectAll().where("id", "=", id).executeTakeFirst();
}

export async function listLiveSagas(queries: Queries, kind: string): Promise<string[]> {
  const rows = await queries
    .selectFrom("saga")
    .select("id")
    .where("live", "=", 1)
    .where("kind", "=", kind)
    .orderBy("id")
    .execute();
  return rows.map(row => row.id);
}

/** One live saga of a kind whose owner, not this one, has no lease any more; held until the transaction ends. */
export async function findOrphan(queries: Queries, kind: string, owner: string): Promise<string | undefined> {
  const orphans = queries
    .selectFrom("saga")
    .select("id")
    .where("live", "=", 1)
    .where("kind", "=", kind)
    .where("owner", "<>", owner)
    .where(isOrphaned<"saga">(queries, "saga.owner"))
    .orderBy("id")
    .limit(1);
  const orphan = await lockFreeRow(queries, orphans).executeTakeFirst();
  return orphan?.id;
}

export async function takeSaga(queries: Queries, id: string, owner: string, term: number): Promise<void> {
  await queries.updateTable("saga").set({ owner, term }).where("id", "=", id).execute();
}

/** Sagas of this owner that somebody wants cancelled. */
export function listCancelled(
  queries: Queries,
  owner: string,
): Promise<Pick<SagaRow, "id" | "cancelled_by">[]> {
  return queries
    .selectFrom("saga")
    .select(["id", "cancelled_by"])
    .where("live", "=", 1)
    .where("cancel", "=", 1)
    .where("owner", "=", owner)
    .execute();
}

export async function readJournal(queries: Queries, id: string): Promise<{ line: string; atMs: number }[]> {
  const rows = await queries
    .selectFrom("saga_step")
    .select(["line", "at_ms"])
    .where("saga", "=", id)
    .orderBy("seq")
    .execute();
  return rows.map(row => ({ line: row.line, atMs: row.at_ms }));
}

/** One more line; false when the guard does not hold any more. */
export async function appendLine(
  queries: Queries,
  guard: SagaGuard,
  { line, atMs, epoch, live }: { line: string; atMs: number; epoch: number; live: boolean },
): Promise<boolean> {
  const taken = await queries
    .updateTable("saga")
    .set({ length: guard.length + 1, epoch, live: live ? 1 : 0 })
    .where("id", "=", guard.id)
    .where("owner", "=", guard.owner)
    .where("epoch", "=", guard.epoch)
    .where("length", "=", guard.length)
    .executeTakeFirst();
  if (taken.numUpdatedRows !== 1n) return false;
  await queries
    .insertInto("saga_step")
    .values({ saga: guard.id, seq: guard.length + 1, line, at_ms: atMs })
    .execute();
  return true;
}

/** Does the guard still hold? The length is not asked: a step may write while somebody notes a wish to cancel. */
export async function ownsSaga(queries: Queries, guard: Omit<SagaGuard, "length">): Promise<boolean> {
  const query = queries.selectFrom("saga").selectAll().where("id", "=", guard.id);
  const row = await lockRow(queries, query).executeTakeFirst();
  return row?.owner === guard.owner && row.epoch === guard.epoch;
}

/** False: somebody wanted that before. */
export async function cancelSaga(queries: Queries, id: string, by: string): Promise<boolean> {
  const cancelled = await queries
    .updateTable("saga")
    .set({ cancel: 1, cancelled_by: by })
    .where("id", "=", id)
    .where("cancel", "=", 0)
    .executeTakeFirst();
  return cancelled.numUpdatedRows === 1n;
}
