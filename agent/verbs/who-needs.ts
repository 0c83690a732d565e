/**
 * Who else lives on a backing file (SAFETY R10): overlays on a common base share it, whichever server brought it here.
 */

import { findBackingReferences } from "../disk/backing-references.js";
import { whoPlansWith } from "./other-arrivals.js";
import type { Call, World } from "./verb.js";

/** A user of the file, or what could not be looked at; undefined only when certainly nobody needs it. */
export async function whoNeeds(
  path: string,
  { migrationId }: Pick<Call, "migrationId">,
  world: World,
): Promise<string | undefined> {
  const planned = whoPlansWith(path, migrationId, world);
  if (planned !== undefined) return planned;
  const summaries = await world.hypervisor.listDomains();
  const domains = await Promise.all(
    summaries.map(async ({ uuid }) => ({ uuid, xml: await world.hypervisor.domainXml(uuid, "inactive") })),
  );
  const { found, unknown } = await findBackingReferences(world.files, world.places, domains, path);
  return found[0] ?? unknown.map(({ what, reason }) => `${what}: ${reason}`)[0];
}
