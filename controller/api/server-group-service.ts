/** ServerGroupService: members see and delete their own groups only. */

import { Fault } from "../../proto/fault.js";
import { type ServerGroup, ServerGroupServiceService } from "../../proto/gen/ferry/v1/placement.js";
import { type Caller, implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import { ownerOf, seesAll } from "../policy/policy.js";
import type { Api } from "./api.js";

export function serverGroupService({ serverGroups }: Api): ServiceImplementation {
  const permitted = async (nameOrId: string, { identity }: Caller): Promise<ServerGroup> => {
    const group = await serverGroups.show(nameOrId);
    if (seesAll(identity) || group.owner === ownerOf(identity)) return group;
    throw new Fault("not-found", `Instance group ${nameOrId} could not be found.`);
  };
  return implement<typeof ServerGroupServiceService>(ServerGroupServiceService, {
    createServerGroup: async (asked, { identity }) => ({
      group: await serverGroups.create({ ...asked, owner: ownerOf(identity) }),
    }),
    listServerGroups: async (_asked, { identity }) => {
      const groups = await serverGroups.list();
      return {
        groups: seesAll(identity) ? groups : groups.filter(({ owner }) => owner === ownerOf(identity)),
      };
    },
    showServerGroup: async ({ group }, caller) => ({ group: await permitted(group, caller) }),
    deleteServerGroup: async ({ group }, caller) => {
      const { id } = await permitted(group, caller);
      await serverGroups.delete(id);
      return {};
    },
  });
}
