/**
 * How fast the disks of one migration may leave this host: told at any time, obeyed from the next leaf on, and remembered
 * until the migration is closed, whatever is restarted meanwhile.
 */

import { Fault } from "../proto/fault.js";
import type { LimitTransferRequest, LimitTransferResponse } from "../proto/gen/ferry/v1/agent.js";
import type { Call, World } from "./verbs/verb.js";

const DOCUMENT = "bandwidth";

interface Limit {
  readonly bytesPerSecond: number;
}

type Edges = Pick<World, "bandwidth" | "documents">;

export function limitTransfer(
  { serverId, migrationId, bytesPerSecond }: LimitTransferRequest,
  { bandwidth, documents }: Edges,
): LimitTransferResponse {
  const outcome = documents.tombstone(migrationId);
  if (outcome !== undefined)
    throw new Fault("conflict", `migration ${migrationId} is closed on this host (${outcome})`);
  const limit: Limit = { bytesPerSecond };
  documents.put(serverId, migrationId, DOCUMENT, limit);
  bandwidth.limitMigration(migrationId, bytesPerSecond);
  return {};
}

/** As it was told before this agent started. */
export function limitAgain(
  { serverId, migrationId }: Pick<Call, "serverId" | "migrationId">,
  { bandwidth, documents }: Edges,
): void {
  const limit = documents.get<Limit>(serverId, migrationId, DOCUMENT);
  if (limit !== undefined) bandwidth.limitMigration(migrationId, limit.bytesPerSecond);
}
