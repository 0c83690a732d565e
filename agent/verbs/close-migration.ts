/**
 * The end of a migration on this host: a tombstone refuses whatever comes late (SAFETY R13). On the host that keeps
 * the server its received files become the server's own.
 */

import type { CloseMigration } from "../../proto/gen/ferry/v1/agent.js";
import { result, type Verb } from "./verb.js";

const KINDS = ["source", "final", "target", "claim", "copy", "stopped"];

export const closeMigration: Verb<CloseMigration> = async ({ outcome }, call, world) => {
  const guest = world.guests.find(call.serverId);
  if (guest?.role === "active" && guest.migrationId === call.migrationId) {
    world.artifacts.adopt(call.serverId, call.migrationId);
    world.guests.update(call.serverId, { migrationId: "" });
  }
  for (const kind of KINDS) world.documents.remove(call.serverId, call.migrationId, kind);
  world.documents.closeMigration(call.migrationId, outcome);
  return result();
};
