/** AdminService: the store against the world. */

import { AdminServiceService } from "../../proto/gen/ferry/v1/controller.js";
import { implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import { ownerOf } from "../policy/policy.js";
import { readFreeze } from "../store/freeze.js";
import type { Api } from "./api.js";

export function adminService({ store, epochRaise, driftWatch }: Api): ServiceImplementation {
  return implement<typeof AdminServiceService>(AdminServiceService, {
    showStore: async () => {
      const frozen = await readFreeze(store.queries);
      return { frozen: frozen?.reason ?? "", frozenAtMs: frozen?.atMs ?? 0 };
    },
    raiseEpochs: ({ planOnly, withoutHosts }, { identity }) =>
      epochRaise.raise({ planOnly, withoutHosts, requestedBy: ownerOf(identity) }),
    audit: async ({ lookOnly }) => ({ drifts: await driftWatch.look(!lookOnly) }),
  });
}
