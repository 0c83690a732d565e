/** The change table: who changed what belongs to no server. A row is there before it is done, and is kept. */

import type { Change } from "../../proto/gen/ferry/v1/controller.js";
import { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { type Columns, int, optionalMessage, text, toRecord, toRow } from "./columns.js";
import type { ChangeTable, Queries } from "./schema.js";

export type ChangeRecord = Change & { readonly id: string };

const COLUMNS: Columns<ChangeRecord> = {
  id: text("id"),
  atMs: int("at_ms"),
  requestedBy: text("requested_by"),
  project: text("project"),
  requestId: text("request_id"),
  method: text("method"),
  subject: text("subject"),
  asked: text("asked"),
  endedAtMs: int("ended_at_ms"),
  fault: optionalMessage("fault", FaultInfo),
};

export async function insertChange(queries: Queries, change: ChangeRecord): Promise<void> {
  await queries
    .insertInto("change")
    .values(toRow(COLUMNS, change) as unknown as ChangeTable)
    .execute();
}

export async function endChange(
  queries: Queries,
  id: string,
  endedAtMs: number,
  fault: FaultInfo | undefined,
): Promise<void> {
  await queries
    .updateTable("change")
    .set(toRow<ChangeRecord>(COLUMNS, { endedAtMs, fault }))
    .where("id", "=", id)
    .execute();
}

/** What is empty does not matter. */
export interface ChangeSelection {
  readonly requestedBy: string;
  readonly subject: string;
  readonly limit: number;
}

/** Newest first. */
export async function listChanges(
  queries: Queries,
  { requestedBy, subject, limit }: ChangeSelection,
): Promise<ChangeRecord[]> {
  let asked = queries.selectFrom("change").selectAll();
  if (requestedBy !== "") asked = asked.where("requested_by", "=", requestedBy);
  if (subject !== "") asked = asked.where("subject", "=", subject);
  const rows = await asked.orderBy("at_ms", "desc").orderBy("id", "desc").limit(limit).execute();
  return rows.map(row => toRecord(COLUMNS, row));
}
