/**
 * Who asks for something, and under which request id it can be found again. The controller's own wishes (automatic
 * confirmation) are given as a plain name: no lock holds them back.
 */

import { Fault } from "../../proto/fault.js";
import type { ServerRecord } from "../store/servers.js";

export interface Requester {
  /** Label of an identity, such as `user/ada`. */
  readonly by: string;
  /** Empty for callers without one. */
  readonly project: string;
  /** Locks do not hold administrators back. */
  readonly isAdmin: boolean;
  /** `req-<uuid>` */
  readonly requestId: string;
  /** Of what is asked under an id of the caller's, so that it is recorded once; absent: the id is ours. */
  readonly requestDigest?: string;
}

export type RequestedBy = string | Requester;

export function requesterOf(asked: RequestedBy, newId: () => string): Requester {
  if (typeof asked !== "string") return asked;
  return { by: asked, project: "", isAdmin: true, requestId: `req-${newId()}` };
}

export function refuseLocked(
  { id, name, lockedBy, lockedReason }: ServerRecord,
  { isAdmin }: Requester,
): void {
  if (lockedBy === "" || isAdmin) return;
  throw new Fault("conflict", `Instance ${id} is locked`, {
    have: `a lock by its ${lockedBy === "owner" ? "owner" : "administrator"}${lockedReason && `: ${lockedReason}`}`,
    fix: `ferry server unlock ${name}`,
  });
}
