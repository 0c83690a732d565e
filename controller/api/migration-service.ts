/** MigrationService: migrations as they are and as they go on. */

import { MigrationServiceService } from "../../proto/gen/ferry/v1/controller.js";
import { type Caller, implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import { ownerOf } from "../policy/policy.js";
import type { Api } from "./api.js";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

export function migrationService({ migrations, servers }: Api): ServiceImplementation {
  const requestedBy = ({ identity }: Caller) => ownerOf(identity);
  return implement<typeof MigrationServiceService>(MigrationServiceService, {
    listMigrations: async ({ server, status, host, limit }) => ({
      migrations: await migrations.list({
        ...(server === "" ? {} : { serverId: (await servers.show(server)).id }),
        ...(status === "" ? {} : { status }),
        ...(host === "" ? {} : { host }),
        limit: Math.min(limit || DEFAULT_LIMIT, MAX_LIMIT),
      }),
    }),
    showMigration: async ({ id }) => ({ migration: await migrations.show(id) }),
    watchMigration: ({ id, untilEnded }, { signal }) => migrations.watch(id, { signal, untilEnded }),
    cancelMigration: async ({ id }, caller) => ({
      migration: await migrations.cancel(id, requestedBy(caller)),
    }),
    recoverMigration: ({ id, planOnly }, caller) =>
      migrations.recover(id, { planOnly, requestedBy: requestedBy(caller) }),
  });
}
