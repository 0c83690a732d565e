/** AdminService: the store against the world. */

import { AdminServiceService } from "../../proto/gen/ferry/v1/controller.js";
import { implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import { ownerOf } from "../policy/policy.js";
import { listChanges } from "../store/change-log.js";
import { readFreeze } from "../store/freeze.js";
import type { Api } from "./api.js";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 10_000;

export function adminService({ store, epochRaise, driftWatch }: Api): ServiceImplementation {
  return implement<typeof AdminServiceService>(AdminServiceService, {
    showStore: async () => {
      const frozen = await readFreeze(store.queries);
      return { frozen: frozen?.reason ?? "", frozenAtMs: frozen?.atMs ?? 0 };
    },
    raiseEpochs: ({ planOnly, withoutHosts }, { identity }) =>
      epochRaise.raise({ planOnly, withoutHosts, requestedBy: ownerOf(identity) }),
    listChanges: async ({ limit, ...selection }) => ({
      changes: await listChanges(store.queries, {
        ...selection,
        limit: Math.min(limit || DEFAULT_LIMIT, MAX_LIMIT),
      }),
    }),
    audit: async ({ lookOnly }) => ({ drifts: await driftWatch.look(!lookOnly) }),
  });
}
