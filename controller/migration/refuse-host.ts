/** What can be said against a requested host before the scheduler is asked. */

import { Fault } from "../../proto/fault.js";

export function refuseUnknownHost(requested: string, known: readonly string[]): void {
  if (requested === "" || known.includes(requested)) return;
  throw new Fault("not-found", `Compute host ${requested} could not be found.`, {
    have: known.join(", "),
    fix: "ferry host list shows the hosts",
  });
}

export function refuseAimlessForce(force: boolean, requestedHost: string): void {
  if (!force || requestedHost !== "") return;
  throw new Fault("invalid-argument", "Can't force to a non-provided destination", {
    need: "the host that the scheduler is to be overruled for",
    fix: "add --host HOST, or leave out --force",
  });
}
