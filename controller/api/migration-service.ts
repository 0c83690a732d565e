/** MigrationService: migrations as they are and as they go on. */

import { MigrationServiceService } from "../../proto/gen/ferry/v1/controller.js";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { type Caller, implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import { seesAll, viewerOf } from "../policy/policy.js";
import type { Api } from "./api.js";
import { onceFor } from "./once.js";
import { requesterFrom } from "./requester-from.js";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 10_000;

export function migrationService(api: Api): ServiceImplementation {
  const { migrations, servers, policy } = api;
  const once = onceFor(api);
  /** The migration, if the caller may see its server: who resizes a server of their own may follow it. */
  const permitted = async (id: string, { identity, path }: Caller): Promise<Migration> => {
    const migration = await migrations.show(id);
    if (!seesAll(identity)) policy.requireOwner(identity, path, await servers.show(migration.serverId));
    return migration;
  };
  return implement<typeof MigrationServiceService>(MigrationServiceService, {
    listMigrations: async ({ server, ...asked }, { identity }) => {
      const selection = {
        ...asked,
        serverId: server === "" ? asked.serverId : (await servers.show(server)).id,
        status: asked.status || undefined,
        host: asked.host || undefined,
        visibleTo: viewerOf(identity),
        limit: Math.min(asked.limit || DEFAULT_LIMIT, MAX_LIMIT),
      };
      return { migrations: await migrations.list(selection, { brief: asked.brief ?? false }) };
    },
    showMigration: async ({ id }, caller) => ({ migration: await permitted(id, caller) }),
    watchMigration: async function* ({ id, untilEnded }, caller) {
      await permitted(id, caller);
      yield* migrations.watch(id, { signal: caller.signal, untilEnded });
    },
    setMigration: async ({ id, bandwidthBytesPerSecond: rate, priority }, caller) => {
      const requestedBy = requesterFrom(caller, api.newId);
      if (priority !== undefined) await migrations.prioritise(id, priority, requestedBy);
      if (rate !== undefined) await migrations.limit(id, rate, requestedBy);
      return { migration: await migrations.show(id) };
    },
    verifyReceipt: ({ id, files }, { signal }) => migrations.verify(id, files, signal),
    cancelMigration: once(
      async ({ id }, _caller, requestedBy) => ({ migration: await migrations.cancel(id, requestedBy) }),
      async ({ migrationId }) => ({ migration: await migrations.show(migrationId) }),
    ),
    recoverMigration: ({ id, ...asked }, caller) =>
      migrations.recover(id, { ...asked, requestedBy: requesterFrom(caller, api.newId) }),
  });
}
