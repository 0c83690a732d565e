/** Starts a server that is active here. The hook is told that the start is the agent's own. */

import type { StartDomain, StoppedGuest } from "../../proto/gen/ferry/v1/agent.js";
import { withStartToken } from "../fence/start-token.js";
import { activeGuest } from "./prepare-source.js";
import { type Call, result, type Verb, type World } from "./verb.js";

/** How long a guest that was told to shut down and is wanted again is watched for going off after all. */
const LATE_SHUTDOWN_MS = 20_000;
const LOOK_INTERVAL_MS = 500;

export const startDomain: Verb<StartDomain> = async (_request, call, world) => {
  const { incarnation } = activeGuest(call, world);
  if (wasLeftStopping(call, world)) await awaitLateShutdown(call, world);
  await startGuest(call.serverId, incarnation, world);
  return result();
};

/** A stop that was given up has pressed the power button, and nobody can take that back. */
function wasLeftStopping(call: Call, world: World): boolean {
  const stopped = world.documents.get<StoppedGuest>(call.serverId, call.migrationId, "stopped");
  return stopped?.wasRunning === true && stopped.offAtMs === 0;
}

async function awaitLateShutdown(call: Call, world: World): Promise<void> {
  const deadline = world.monotonicMs() + LATE_SHUTDOWN_MS;
  while (world.monotonicMs() < deadline) {
    const domain = await world.hypervisor.findDomain(call.serverId);
    if (domain?.state === "shut-off") return;
    await world.sleep(LOOK_INTERVAL_MS, call.signal);
  }
}

/** Running when it returns; a guest that runs already is left alone, a paused one is resumed. */
export async function startGuest(server: string, incarnation: string, world: World): Promise<void> {
  const domain = await world.hypervisor.findDomain(server);
  if (domain?.state === "running" || domain?.state === "blocked") return;
  if (domain?.state === "paused") return world.hypervisor.resume(server);
  await withStartToken(world.config.run_dir, { server, incarnation }, () =>
    world.hypervisor.start(server, { paused: false }),
  );
}
