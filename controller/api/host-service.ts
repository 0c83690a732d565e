/** HostService: the hosts of the fleet, and what their agents say of the machines. */

import { HostServiceService } from "../../proto/gen/ferry/v1/controller.js";
import { implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import type { Api } from "./api.js";

const DESCRIBE_LIMIT_MS = 20_000;

export function hostService({ fleet, agent, returned }: Api): ServiceImplementation {
  return implement<typeof HostServiceService>(HostServiceService, {
    listHosts: async ({ statesOnly }) => ({
      hosts: statesOnly ? await fleet.listStates() : await fleet.list(),
    }),
    showHost: async ({ name }, { signal }) => {
      const host = await fleet.show(name);
      const limit = AbortSignal.any([signal, AbortSignal.timeout(DESCRIBE_LIMIT_MS)]);
      // A host that is down is still shown: what is stored of it is worth seeing then most of all.
      const description = host.state === "up" ? await agent.describeHost(name, limit) : undefined;
      return { host, description };
    },
    forceHostDown: async ({ name, forcedDown }) => ({ host: await fleet.forceDown(name, forcedDown) }),
    setHostStatus: async ({ name, enabled, reason }) => ({
      host: enabled ? await returned.enable(name) : await fleet.setStatus(name, false, reason),
    }),
  });
}
