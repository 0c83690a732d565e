/**
 * How fast a migration's disks are copied, changed while it goes on. The source's agent is asked first, because it is the
 * one that obeys and remembers; then it is in the migration's record for everybody to see.
 */

import { Fault } from "../../proto/fault.js";
import { findMigration, type MigrationRecord, updateMigration } from "../store/migrations.js";
import { recordSetting } from "./actions.js";
import type { MigrationDependencies } from "./dependencies.js";
import { type RequestedBy, requesterOf } from "./requester.js";

export async function limitBandwidth(
  record: MigrationRecord,
  bytesPerSecond: number,
  requestedBy: RequestedBy,
  { agent, store, clock, newId }: Pick<MigrationDependencies, "agent" | "store" | "clock" | "newId">,
): Promise<void> {
  const { id, serverId, sourceHost } = record;
  refuseTooLate(record);
  const requester = requesterOf(requestedBy, newId);
  await agent.limitTransfer(sourceHost, { serverId, migrationId: id, bytesPerSecond });
  const limit =
    bytesPerSecond === 0 ? "not limited any more" : `limited to ${bytesPerSecond} bytes per second`;
  await store.transaction(async queries => {
    const notes = (await findMigration(queries, id))?.notes ?? [];
    const note = `copy ${limit} by ${requester.by}`;
    await updateMigration(queries, id, { notes: [...notes, note] }, clock.nowMs());
    await recordSetting(queries, record, limit, requester, clock.nowMs());
  });
}

function refuseTooLate({ id, status, endedAtMs, receipt, sourceHost, targetHost }: MigrationRecord): void {
  if (endedAtMs > 0 || receipt.length > 0) {
    const have = { have: endedAtMs > 0 ? `it is ${status}` : "its disks are copied" };
    throw new Fault("conflict", `migration ${id} copies nothing any more`, have);
  }
  if (sourceHost === targetHost)
    throw new Fault("refused", `migration ${id} stays on ${sourceHost}: nothing crosses a network`);
}
