/**
 * A host that a named person has declared dead (SAFETY R21): what it would have to do is left out, and its word is
 * replaced by the person's. The host itself goes into quarantine, for the case that it comes back.
 */

import { Fault } from "../../proto/fault.js";
import type { FencedHost } from "../../proto/gen/ferry/v1/agent.js";
import type { SagaState } from "../saga/fold.js";
import type { MigrationRequest } from "./request.js";

/** Does this migration do without that host? */
export const isGone = ({ fencedHost }: Pick<MigrationRequest, "fencedHost">, host: string): boolean =>
  fencedHost?.host === host;

export const quarantineFor = ({ host, by, reason }: FencedHost, migrationId: string): string =>
  `quarantined: ${by} declared ${host} dead for migration ${migrationId}: ${reason}`;

interface Sides {
  readonly id: string;
  readonly serverName: string;
  readonly sourceHost: string;
  readonly targetHost: string;
}

/**
 * What the word is good for: the target's where the source can be restored without it, the source's once the server
 * runs on the target and only the decision is open. Nothing else is helped by it, and is refused with what would be.
 */
export function refuseUselessWord(host: string, sides: Sides, state: SagaState): void {
  const { id, serverName, sourceHost, targetHost } = sides;
  const refuse = (problem: string, fix: string): never => {
    throw new Fault("conflict", `migration ${id}: ${problem}`, { fix });
  };
  if (state.phase === "ended") refuse("it has ended", "ferry migration show");
  if (host !== sourceHost && host !== targetHost)
    refuse(
      `${host} is neither its source nor its target`,
      `name ${[sourceHost, targetHost].filter(Boolean).join(" or ")}`,
    );
  if (sourceHost === targetHost)
    refuse(`${serverName} stays on ${host}, which holds its disks`, `bring ${host} back`);
  if (host === targetHost && state.phase === "onward")
    refuse(
      `it was confirmed, and ${host} holds the only copy of ${serverName}`,
      `bring ${host} back, or restore the guest from a backup`,
    );
  if (host === sourceHost && state.phase === "unwinding")
    refuse(`${serverName} goes back to ${host}, which holds its disks`, `bring ${host} back`);
  if (host === sourceHost && state.phase === "forward")
    refuse(
      `${serverName} has not arrived on ${targetHost || "a target"} yet, and ${host} holds its disks`,
      `bring ${host} back; once the server runs on its target ${host} can be declared dead`,
    );
}
