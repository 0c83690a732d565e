/**
 * Sagas and their journals. Every write names (owner, epoch, length): whoever is not the owner any more, speaks for an
 * older epoch or has not read the last line changes nothing and is told so. A saga whose owner has no lease any more is
 * adopted.
 */

import type { Selectable } from "kysely";
import { lockFreeRow, lockRow } from "./dialect.js";
import { fixedQuery } from "./fixed-query.js";
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
  const { rows } = await sagaById(queries, id);
  return rows[0];
}

const sagaById = fixedQuery((queries, id: string) =>
  queries.selectFrom("saga").selectAll().where("id", "=", id),
);

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

/** The lines from number `from` on, in order. */
export async function readJournal(
  queries: Queries,
  id: string,
  from = 1,
): Promise<{ line: string; atMs: number }[]> {
  const { rows } = await linesFrom(queries, id, from);
  return rows.map(row => ({ line: row.line, atMs: row.at_ms }));
}

const linesFrom = fixedQuery((queries, id: string, from: number) =>
  queries
    .selectFrom("saga_step")
    .select(["line", "at_ms"])
    .where("saga", "=", id)
    .where("seq", ">=", from)
    .orderBy("seq"),
);

/** One more line; false when the guard does not hold any more. */
export async function appendLine(
  queries: Queries,
  guard: SagaGuard,
  { line, atMs, epoch, live }: { line: string; atMs: number; epoch: number; live: boolean },
): Promise<boolean> {
  const length = guard.length + 1;
  const taken = await grow(
    queries,
    guard.id,
    guard.owner,
    guard.epoch,
    guard.length,
    length,
    epoch,
    live ? 1 : 0,
  );
  if (taken.numAffectedRows !== 1n) return false;
  await insertLine(queries, guard.id, length, line, atMs);
  return true;
}

const grow = fixedQuery(
  (
    queries,
    id: string,
    owner: string,
    oldEpoch: number,
    oldLength: number,
    length: number,
    epoch: number,
    live: number,
  ) =>
    queries
      .updateTable("saga")
      .set({ length, epoch, live })
      .where("id", "=", id)
      .where("owner", "=", owner)
      .where("epoch", "=", oldEpoch)
      .where("length", "=", oldLength),
);

const insertLine = fixedQuery((queries, saga: string, seq: number, line: string, at_ms: number) =>
  queries.insertInto("saga_step").values({ saga, seq, line, at_ms }),
);

/** Does the guard still hold? The length is not asked: a step may write while somebody notes a wish to cancel. */
export async function ownsSaga(queries: Queries, guard: Omit<SagaGuard, "length">): Promise<boolean> {
  const [row] = (await lockedSaga(queries, guard.id)).rows;
  return row?.owner === guard.owner && row.epoch === guard.epoch;
}

const lockedSaga = fixedQuery((queries, id: string) =>
  lockRow(queries, queries.selectFrom("saga").select(["owner", "epoch"]).where("id", "=", id)),
);

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
