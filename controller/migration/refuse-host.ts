/** What can be said against a requested host before the scheduler is asked. */

import { Fault } from "../../proto/fault.js";
import { findHost, generationsOfHosts } from "../store/hosts.js";
import type { Queries } from "../store/schema.js";

export async function refuseUnknownHost(queries: Queries, requested: string): Promise<void> {
  if (requested === "" || (await findHost(queries, requested)) !== undefined) return;
  const known = (await generationsOfHosts(queries)).map(({ name }) => name);
  const more = known.length > HOSTS_NAMED ? `, … (${known.length} hosts)` : "";
  throw new Fault("not-found", `Compute host ${requested} could not be found.`, {
    have: `${known.slice(0, HOSTS_NAMED).join(", ")}${more}`,
    fix: "ferry host list shows the hosts",
  });
}

const HOSTS_NAMED = 10;

export function refuseAimlessForce(force: boolean, requestedHost: string): void {
  if (!force || requestedHost !== "") return;
  throw new Fault("invalid-argument", "Can't force to a non-provided destination", {
    need: "the host that the scheduler is to be overruled for",
    fix: "add --host HOST, or leave out --force",
  });
}
