/** Who a call speaks for, in the words of the operations. */

import type { Caller } from "../../proto/rpc-server.js";
import type { Requester } from "../migration/requester.js";
import { ownerOf } from "../policy/policy.js";

export function requesterFrom({ identity, requestId }: Caller, newId: () => string): Requester {
  return {
    by: ownerOf(identity),
    project: identity.project ?? "",
    isAdmin: identity.role === "admin",
    requestId: requestId ?? `req-${newId()}`,
  };
}
