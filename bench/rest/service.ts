/**
 * The controller's REST face with a fleet of its own: a store on disk with servers on hosts, real services and policy, no
 * agents. A process of its own, so that whoever measures does not compute in the same one. Prints its port.
 */

import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LocalCalls } from "../../controller/api/local-calls.js";
import { authenticateNobody } from "../../controller/api/nova/identity/authenticate.js";
import { novaApi } from "../../controller/api/nova/nova-api.js";
import { novaRoutes } from "../../controller/api/nova/routes/routes.js";
import { systemClock } from "../../controller/clock.js";
import type { AgentPort } from "../../controller/fleet/agent-port.js";
import { Aggregates } from "../../controller/fleet/aggregates.js";
import { Fleet } from "../../controller/fleet/fleet.js";
import { ServerGroups } from "../../controller/fleet/server-groups.js";
import { Audit } from "../../controller/migration/audit.js";
import { EpochRaise } from "../../controller/migration/epoch-raise.js";
import { Migrations } from "../../controller/migration/migrations.js";
import { ReturnedHosts } from "../../controller/migration/returned-host.js";
import { Servers } from "../../controller/migration/servers.js";
import { DEFAULT_SETTINGS } from "../../controller/migration/settings.js";
import { DriftWatch } from "../../controller/migration/watch-drift.js";
import { Policy } from "../../controller/policy/policy.js";
import { HostStates } from "../../controller/scheduler/host-states.js";
import { Scheduler } from "../../controller/scheduler/scheduler.js";
import { DEFAULT_SCHEDULER_SETTINGS } from "../../controller/scheduler/settings.js";
import { controllerServices } from "../../controller/service.js";
import { NO_HINTS } from "../../controller/store/hints.js";
import { Store } from "../../controller/store/store.js";
import { Fault } from "../../proto/fault.js";
import { plantFleet } from "./fleet.js";

const folder = mkdtempSync(join(tmpdir(), "ferry-bench-rest-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
process.once("SIGTERM", () => process.exit(0));
// The one who measures is gone.
process.once("disconnect", () => process.exit(0));

const absent = () => Promise.reject(new Fault("unreachable", "there are no agents in this benchmark"));
const agent = new Proxy({}, { get: () => absent }) as AgentPort;
const store = await Store.open(join(folder, "controller.db"));
const fleet = new Fleet({ store, clock: systemClock });
const scheduler = new Scheduler({
  queries: store.queries,
  hosts: new HostStates({ queries: store.queries, stateOf: host => fleet.stateOf(host) }),
  settings: DEFAULT_SCHEDULER_SETTINGS,
  random: Math.random,
});
const deps = {
  store,
  hints: NO_HINTS,
  fleet,
  scheduler,
  agent,
  clock: systemClock,
  random: Math.random,
  newId: randomUUID,
  settings: DEFAULT_SETTINGS,
  owner: "bench",
  onBug: (error: unknown) => {
    throw error;
  },
  onLine: () => undefined,
  onTakenUp: () => undefined,
};
const migrations = new Migrations(deps);
const servers = new Servers(deps, migrations);
const returned = new ReturnedHosts(deps, migrations);
const ignore = () => undefined;
const services = controllerServices({
  ...deps,
  migrations,
  servers,
  policy: new Policy(),
  aggregates: new Aggregates({ ...deps, isAvailable: host => fleet.isAvailable(host) }),
  serverGroups: new ServerGroups(deps),
  epochRaise: new EpochRaise(deps, migrations),
  returned,
  driftWatch: new DriftWatch({
    clock: systemClock,
    audit: new Audit(deps),
    returned,
    onDrift: ignore,
    onTrouble: ignore,
  }),
});
const ids = await plantFleet(store, fleet, Number(process.argv[2]));
const app = novaApi({
  calls: new LocalCalls(services, new Policy()),
  routes: novaRoutes({ images: [] }),
  authenticate: authenticateNobody,
  newId: randomUUID,
  onFailure: thrown => process.stderr.write(`${thrown}\n`),
});
await app.listen({ host: "127.0.0.1", port: 0 });
const address = app.server.address();
process.send?.({ port: typeof address === "object" ? address?.port : 0, ids });
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMs: (user + system) / 1000 });
});
