/** Starts a server that is active here. The hook is told that the start is the agent's own. */

import type { StartDomain } from "../../proto/gen/ferry/v1/agent.js";
import { withStartToken } from "../fence/start-token.js";
import { activeGuest } from "./prepare-source.js";
import { result, type Verb, type World } from "./verb.js";

export const startDomain: Verb<StartDomain> = async (_request, call, world) => {
  const { incarnation } = activeGuest(call, world);
  await startGuest(call.serverId, incarnation, world);
  return result();
};

/** Running when it returns; a guest that runs already is left alone, a paused one is resumed. */
export async function startGuest(server: string, incarnation: string, world: World): Promise<void> {
  const domain = await world.hypervisor.findDomain(server);
  if (domain?.state === "running" || domain?.state === "blocked") return;
  if (domain?.state === "paused") return world.hypervisor.resume(server);
  await withStartToken(world.config.run_dir, { server, incarnation }, () =>
    world.hypervisor.start(server, { paused: false }),
  );
}
