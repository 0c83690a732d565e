/**
 * Backing files that other migrations are bringing to this target. Servers on one base image may come at the same
 * time, and the base comes once: whoever is later waits for it, while its guest still runs at the source.
 */

import type { Claim } from "../claim/claim.js";
import type { TargetDocument } from "./target-document.js";
import type { Call, World } from "./verb.js";

const LOOK_INTERVAL_MS = 250;

interface Arrival {
  readonly path: string;
  readonly migrationId: string;
}

/** Which of these files another migration is bringing: planned to be copied, and its copy is not done. */
export function otherArrivals(paths: readonly string[], call: Call, world: World): Arrival[] {
  return openPlans(call.migrationId, world)
    .filter(({ serverId, migrationId }) => !world.documents.get(serverId, migrationId, "copy"))
    .flatMap(({ migrationId, body }) =>
      body.plan.files
        .filter(({ mode, path }) => mode === "copied" && paths.includes(path))
        .map(({ path }) => ({ path, migrationId })),
    );
}

/** Resolves when each of them is here or is not being brought any more. */
export async function awaitArrivals(paths: readonly string[], call: Call, world: World): Promise<void> {
  const told = new Set<string>();
  for (;;) {
    const arrival = await firstMissing(otherArrivals(paths, call, world), world);
    if (arrival === undefined) return;
    const line = `waits for ${arrival.path}, which migration ${arrival.migrationId} is bringing`;
    if (!told.has(line)) call.note(line);
    told.add(line);
    await world.sleep(LOOK_INTERVAL_MS, call.signal);
  }
}

async function firstMissing(arrivals: readonly Arrival[], world: World): Promise<Arrival | undefined> {
  for (const arrival of arrivals) if (!(await world.exists(arrival.path))) return arrival;
  return undefined;
}

/** Another open migration that counts on this file being here. */
export function whoPlansWith(path: string, migrationId: string, world: World): string | undefined {
  const plan = openPlans(migrationId, world).find(({ body }) =>
    body.plan.files.some(file => file.path === path),
  );
  return plan && `migration ${plan.migrationId}`;
}

/** A target's claim goes when it is withdrawn or closed. */
function openPlans(except: string, world: World) {
  const claimed = new Set(world.documents.list<Claim>("claim").map(({ migrationId }) => migrationId));
  return world.documents
    .list<TargetDocument>("target")
    .filter(({ migrationId }) => migrationId !== except && claimed.has(migrationId));
}
