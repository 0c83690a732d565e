/** Every route below /v2.1. */

import type { Route } from "../route.js";
import type { NovaSettings } from "../settings.js";
import { aggregateRoutes } from "./aggregates.js";
import { flavorRoutes } from "./flavors.js";
import { hypervisorRoutes } from "./hypervisors.js";
import { imageRoutes } from "./images.js";
import { instanceActionRoutes } from "./instance-actions.js";
import { migrationRoutes } from "./migrations.js";
import { serverGroupRoutes } from "./server-groups.js";
import { serverRoutes } from "./servers.js";
import { serviceRoutes } from "./services.js";
import { smallRoutes } from "./small-resources.js";

export const novaRoutes = (settings: NovaSettings): Route[] => [
  ...serverRoutes(settings),
  ...flavorRoutes,
  ...migrationRoutes,
  ...instanceActionRoutes,
  ...hypervisorRoutes(),
  ...serviceRoutes,
  ...aggregateRoutes,
  ...serverGroupRoutes,
  ...smallRoutes,
  ...imageRoutes(settings),
];
