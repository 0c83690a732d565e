/** The controller's gRPC face: every service, behind the policy. */

import type { ServiceImplementation } from "../proto/rpc-server.js";
import { adminService } from "./api/admin-service.js";
import { aggregateService } from "./api/aggregate-service.js";
import type { Api } from "./api/api.js";
import { eventService } from "./api/event-service.js";
import { flavorService } from "./api/flavor-service.js";
import { fleetService } from "./api/fleet-service.js";
import { hostService } from "./api/host-service.js";
import { migrationService } from "./api/migration-service.js";
import { placementService } from "./api/placement-service.js";
import { policyService } from "./api/policy-service.js";
import { recordChanges } from "./api/record-changes.js";
import { serverGroupService } from "./api/server-group-service.js";
import { serverService } from "./api/server-service.js";

export const controllerServices = (api: Api): ServiceImplementation[] =>
  [
    hostService(api),
    flavorService(api),
    serverService(api),
    migrationService(api),
    aggregateService(api),
    serverGroupService(api),
    placementService(api),
    policyService(api),
    eventService(api),
    fleetService(api),
    adminService(api),
  ].map(service => recordChanges(service, api));
