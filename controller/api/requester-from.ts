/**
 * Who a call speaks for, in the words of the operations, and under which id: the caller's own, so that the request is known
 * again when it comes twice, or one that is made up here.
 */

import { createHash } from "node:crypto";
import { type Canonical, canonicalJson } from "../../proto/canonical-json.js";
import { Fault } from "../../proto/fault.js";
import type { Caller } from "../../proto/rpc-server.js";
import type { Requester } from "../migration/requester.js";
import { ownerOf } from "../policy/policy.js";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A request as it came; only those with an id of the caller's are told apart. */
export interface Identified {
  readonly requestId?: string | undefined;
}

export function requesterFrom(caller: Caller, newId: () => string, request: Identified = {}): Requester {
  const { identity } = caller;
  return {
    by: ownerOf(identity),
    project: identity.project ?? "",
    isAdmin: identity.role === "admin",
    ...idOf(request, caller, newId),
  };
}

function idOf(
  request: Identified,
  { requestId, identity, path }: Caller,
  newId: () => string,
): Pick<Requester, "requestId" | "requestDigest"> {
  const { requestId: given = "", ...asked } = request;
  if (given === "") return { requestId: requestId ?? `req-${newId()}` };
  const id = given.toLowerCase();
  if (!UUID.test(id)) {
    const need = "a UUID, made up by the caller for this request";
    throw new Fault("invalid-argument", `${JSON.stringify(given.slice(0, 64))} is no request id`, { need });
  }
  return { requestId: `req-${id}`, requestDigest: digestOf([path, ownerOf(identity), asked]) };
}

/** Equal for what was asked alike, whatever the order of its fields on the wire. */
function digestOf(asked: readonly unknown[]): string {
  const plain = JSON.parse(JSON.stringify(asked)) as Canonical;
  return createHash("sha256").update(canonicalJson(plain)).digest("hex");
}
