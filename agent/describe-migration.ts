/**
 * What the journal holds of one migration: how it was closed, what was asked and what is set aside. For a controller whose
 * own records may be older than the world (SAFETY R13), and for a person who recovers.
 */

import type { DescribeMigrationRequest, DescribeMigrationResponse } from "../proto/gen/ferry/v1/agent.js";
import type { FenceRecord } from "./fence/fence-record.js";
import type { FenceRecords } from "./journal/fence-records.js";
import type { Operations } from "./operations.js";
import type { World } from "./verbs/verb.js";

interface Edges {
  readonly world: Pick<World, "documents">;
  readonly operations: Operations;
  readonly fences: FenceRecords;
}

export function describeMigration(
  { serverId, migrationId }: DescribeMigrationRequest,
  { world, operations, fences }: Edges,
): DescribeMigrationResponse {
  const records = fences
    .list()
    .filter(({ server, migration }) => server === serverId && migration === migrationId);
  return {
    outcome: world.documents.tombstone(migrationId) ?? "",
    operations: operations.ofMigration(migrationId),
    held: records.filter(({ state }) => state !== "active" && state !== "retired").map(heldLine),
  };
}

export function heldLine({ incarnation, state, files, devices = [] }: FenceRecord): string {
  const aside = files.filter(file => file.asidePath !== file.path).length;
  const left = devices
    .filter(({ isCopied }) => isCopied === true)
    .map(({ path }) => `, ${path} left as it was`);
  return `${incarnation}: ${state}, ${aside} files set aside${left.join("")}`;
}
