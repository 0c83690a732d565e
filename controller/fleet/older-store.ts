/**
 * Whether an agent has seen more than this store knows (SAFETY R13). A server's epoch is raised here before any agent
 * hears of it; an agent that knows a higher one was told by a store that is newer than this one: a backup was restored.
 */

import type { HeartbeatRequest } from "../../proto/gen/ferry/v1/controller.js";
import type { Queries } from "../store/schema.js";
import { listEpochs } from "../store/servers.js";

export async function whyStoreIsOlder(
  queries: Queries,
  { host, epochs }: HeartbeatRequest,
): Promise<string | undefined> {
  const known = await listEpochs(queries, Object.keys(epochs));
  const behind = known.find(({ id, epoch }) => (epochs[id] ?? 0) > epoch);
  if (behind === undefined) return undefined;
  const { id, name, epoch } = behind;
  return `${host} has seen epoch ${epochs[id]} of ${name}, this store knows ${epoch}: it was restored from an older copy`;
}
