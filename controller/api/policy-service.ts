/** PolicyService: the rules as they are applied, and which of them the caller may use. */

import { PolicyServiceService } from "../../proto/gen/ferry/v1/placement.js";
import { implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import type { Api } from "./api.js";

export function policyService({ policy }: Api): ServiceImplementation {
  return implement<typeof PolicyServiceService>(PolicyServiceService, {
    listPolicyRules: async (_asked, { identity }) => ({ rules: policy.describe(identity) }),
  });
}
