/** What the gRPC handlers act on. They map, ask, and map back; no rule of the product lives in this folder. */

import type { Clock } from "../clock.js";
import type { AgentPort } from "../fleet/agent-port.js";
import type { Aggregates } from "../fleet/aggregates.js";
import type { Fleet } from "../fleet/fleet.js";
import type { ServerGroups } from "../fleet/server-groups.js";
import type { EpochRaise } from "../migration/epoch-raise.js";
import type { Migrations } from "../migration/migrations.js";
import type { ReturnedHosts } from "../migration/returned-host.js";
import type { Servers } from "../migration/servers.js";
import type { DriftWatch } from "../migration/watch-drift.js";
import type { Policy } from "../policy/policy.js";
import type { Scheduler } from "../scheduler/scheduler.js";
import type { Store } from "../store/store.js";

export interface Api {
  readonly store: Store;
  readonly fleet: Fleet;
  readonly scheduler: Scheduler;
  readonly agent: AgentPort;
  readonly migrations: Migrations;
  readonly servers: Servers;
  readonly aggregates: Aggregates;
  readonly serverGroups: ServerGroups;
  readonly epochRaise: EpochRaise;
  readonly returned: ReturnedHosts;
  readonly driftWatch: DriftWatch;
  readonly policy: Policy;
  readonly newId: () => string;
  readonly clock: Clock;
}
