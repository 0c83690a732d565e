/** FleetService: heartbeats of agents, each for its own host only. */

import { Fault } from "../../proto/fault.js";
import { FleetServiceService } from "../../proto/gen/ferry/v1/controller.js";
import { identityLabel } from "../../proto/identity.js";
import { implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import type { Api } from "./api.js";

export function fleetService({ fleet }: Api): ServiceImplementation {
  return implement<typeof FleetServiceService>(FleetServiceService, {
    heartbeat: async (report, { identity }) => {
      if (identity.name !== report.host) {
        throw new Fault(
          "permission-denied",
          `${identityLabel(identity)} may not speak for host ${report.host}`,
          {
            fix: "let host in agent.toml be the name in its certificate",
          },
        );
      }
      return fleet.heartbeat(report);
    },
  });
}
