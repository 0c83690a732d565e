/** MigrationService: migrations as they are and as they go on. */

import { MigrationServiceService } from "../../proto/gen/ferry/v1/controller.js";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { type Caller, implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import { ownerOf, seesAll } from "../policy/policy.js";
import type { Api } from "./api.js";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

export function migrationService({ migrations, servers, policy }: Api): ServiceImplementation {
  const requestedBy = ({ identity }: Caller) => ownerOf(identity);
  /** The migration, if the caller may see its server: who resizes a server of their own may follow it. */
  const permitted = async (id: string, { identity, path }: Caller): Promise<Migration> => {
    const migration = await migrations.show(id);
    if (!seesAll(identity)) policy.requireOwner(identity, path, await servers.show(migration.serverId));
    return migration;
  };
  return implement<typeof MigrationServiceService>(MigrationServiceService, {
    listMigrations: async ({ server, status, host, limit }) => ({
      migrations: await migrations.list({
        ...(server === "" ? {} : { serverId: (await servers.show(server)).id }),
        ...(status === "" ? {} : { status }),
        ...(host === "" ? {} : { host }),
        limit: Math.min(limit || DEFAULT_LIMIT, MAX_LIMIT),
      }),
    }),
    showMigration: async ({ id }, caller) => ({ migration: await permitted(id, caller) }),
    watchMigration: async function* ({ id, untilEnded }, caller) {
      await permitted(id, caller);
      yield* migrations.watch(id, { signal: caller.signal, untilEnded });
    },
    setMigration: async ({ id, bandwidthBytesPerSecond: rate }, caller) => ({
      migration:
        rate === undefined
          ? await migrations.show(id)
          : await migrations.limit(id, rate, requestedBy(caller)),
    }),
    verifyReceipt: ({ id, files }, { signal }) => migrations.verify(id, files, signal),
    cancelMigration: async ({ id }, caller) => ({
      migration: await migrations.cancel(id, requestedBy(caller)),
    }),
    recoverMigration: ({ id, ...asked }, caller) =>
      migrations.recover(id, { ...asked, requestedBy: requestedBy(caller) }),
  });
}
