/** What prepare-target has settled for a migration, for the verbs after it. */

import { Fault } from "../../proto/fault.js";
import type { SourceManifest, TargetPlan } from "../../proto/gen/ferry/v1/agent.js";
import type { Call, World } from "./verb.js";

export interface TargetDocument {
  readonly plan: TargetPlan;
  readonly manifest: SourceManifest;
  readonly sourceHost: string;
}

export const findTargetDocument = (call: Call, world: World): TargetDocument | undefined =>
  world.documents.get<TargetDocument>(call.serverId, call.migrationId, "target");

export function targetDocument(call: Call, world: World): TargetDocument {
  const document = findTargetDocument(call, world);
  if (document !== undefined) return document;
  throw new Fault("refused", `migration ${call.migrationId} was never prepared on this target`);
}
