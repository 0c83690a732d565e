/**
 * What is said of a server, without a word to its host: locks, and the state that a person declares.
 *
 * `reset-state` changes words, never fences (SAFETY R16): whatever is at work with the server goes on and will say so
 * again, and a migration that waits for its verdict can still be confirmed or reverted.
 */

import { Fault } from "../../proto/fault.js";
import type { Server } from "../../proto/gen/ferry/v1/model.js";
import { findMigration } from "../store/migrations.js";
import type { Queries } from "../store/schema.js";
import { findServer, type ServerRecord, showServer, updateServer } from "../store/servers.js";
import { recordAction } from "./actions.js";
import type { MigrationDependencies } from "./dependencies.js";
import type { Requester } from "./requester.js";

type Dependencies = Pick<MigrationDependencies, "store" | "clock">;
type Words = Partial<Pick<ServerRecord, "lockedBy" | "lockedReason" | "vmState" | "taskState" | "fault">>;

/** `as` whom: an administrator's lock is not the owner's to undo. The owner of a locked server changes nothing. */
export function lockServer(
  deps: Dependencies,
  server: string,
  { as, reason, requester }: { as: "owner" | "admin"; reason: string; requester: Requester },
): Promise<Server> {
  return say(deps, server, "lock", requester, ({ lockedBy }) =>
    lockedBy !== "" && as === "owner" ? {} : { lockedBy: as, lockedReason: reason },
  );
}

export function unlockServer(deps: Dependencies, server: string, requester: Requester): Promise<Server> {
  return say(deps, server, "unlock", requester, () => ({ lockedBy: "", lockedReason: "" }));
}

export async function resetServerState(
  deps: Dependencies,
  server: string,
  state: string,
  requester: Requester,
): Promise<Server> {
  if (state !== "active" && state !== "error") {
    throw new Fault("invalid-argument", `a server cannot be declared ${JSON.stringify(state)}`, {
      need: "active or error",
    });
  }
  return say(deps, server, "reset_state", requester, async (now, queries) => ({
    vmState: state,
    ...((await isAtWork(queries, now)) ? {} : { taskState: "" }),
  }));
}

/** A task that goes on, whatever is said of it. */
async function isAtWork(queries: Queries, { pending, migrationId }: ServerRecord): Promise<boolean> {
  if (pending !== undefined) return true;
  const migration = await findMigration(queries, migrationId);
  return migration?.open === true && migration.status !== "finished" && !migration.stuck;
}

async function say(
  { store, clock }: Dependencies,
  nameOrId: string,
  action: string,
  requester: Requester,
  words: (now: ServerRecord, queries: Queries) => Words | Promise<Words>,
): Promise<Server> {
  return store.transaction(async queries => {
    const server = await findServer(queries, nameOrId);
    const nowMs = clock.nowMs();
    await updateServer(queries, server.id, await words(server, queries), nowMs);
    const asked = { serverId: server.id, action, endedAtMs: nowMs };
    await recordAction(queries, asked, requester, nowMs);
    return showServer(queries, await findServer(queries, server.id));
  });
}
