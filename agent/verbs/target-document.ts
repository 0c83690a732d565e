/**
 * What prepare-target left in the journal for the verbs after it.
 *
 * A target that has been withdrawn, or whose withdrawal was only begun, is never gone on with: its word that it cannot
 * run here was given, or may have been (SAFETY R4).
 */

import { Fault } from "../../proto/fault.js";
import type { SourceManifest, TargetPlan } from "../../proto/gen/ferry/v1/agent.js";
import { formatIncarnation, type Incarnation } from "../domain/ferry-metadata.js";
import type { Call, World } from "./verb.js";

export interface TargetDocument {
  readonly plan: TargetPlan;
  readonly manifest: SourceManifest;
  readonly sourceHost: string;
}

export const findTargetDocument = (call: Call, world: World): TargetDocument | undefined =>
  world.documents.get<TargetDocument>(call.serverId, call.migrationId, "target");

export async function targetDocument(call: Call, world: World): Promise<TargetDocument> {
  const { serverId: server, migrationId: migration } = call;
  const document = findTargetDocument(call, world);
  if (document === undefined)
    throw new Fault("refused", `migration ${migration} was never prepared on this target`);
  const { incarnation } = document.plan;
  if ((await world.fence.journal.find({ server, migration, incarnation })) === undefined) return document;
  throw new Fault("refused", `migration ${migration} was withdrawn from this target`);
}

export const targetIncarnation = (call: Call): Incarnation => ({
  server: call.serverId,
  migration: call.migrationId,
  side: "target",
  epoch: call.epoch,
});

/** What is withdrawn and removed: the same at every later epoch, also where nothing was ever prepared. */
export function incarnationToWithdraw(call: Call, world: World): string {
  const { serverId, migrationId } = call;
  const prepared = findTargetDocument(call, world)?.plan.incarnation;
  const named = world.documents.get<string>(serverId, migrationId, "withdrawn");
  return prepared ?? named ?? formatIncarnation(targetIncarnation(call));
}
