/** ServerService: servers and what is done to them. Members see and act on their own only. */

import { type ResizeServerRequest, ServerServiceService } from "../../proto/gen/ferry/v1/controller.js";
import type { Server } from "../../proto/gen/ferry/v1/model.js";
import { type Caller, implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import { checkServer } from "../migration/check-server.js";
import { ownerOf, seesAll } from "../policy/policy.js";
import type { Api } from "./api.js";

/** What a migration and a resize are asked with alike. */
type MoveMessage = Omit<ResizeServerRequest, "server" | "flavor">;

export function serverService(api: Api): ServiceImplementation {
  const { servers, migrations, policy } = api;
  const requestedBy = ({ identity }: Caller) => ownerOf(identity);
  const moved = (request: MoveMessage, caller: Caller) => ({
    dryRun: request.dryRun,
    shutdownTimeoutMs: request.shutdownTimeoutSeconds * 1000 || undefined,
    gracefulOnly: request.gracefulOnly,
    readOnlyDrives: request.readOnlyDrives || undefined,
    requestedBy: requestedBy(caller),
  });
  /** The server, if the caller may do this to it. */
  const permitted = async (nameOrId: string, { identity, path }: Caller): Promise<Server> => {
    const server = await servers.show(nameOrId);
    policy.requireOwner(identity, path, server);
    return server;
  };

  return implement<typeof ServerServiceService>(ServerServiceService, {
    createServer: async (request, caller) => ({ server: await servers.create(request, requestedBy(caller)) }),
    adoptServer: (request, caller) => servers.adopt({ ...request, requestedBy: requestedBy(caller) }),
    listServers: async ({ host, status }, { identity }) => {
      const found = await servers.list({ host: host || undefined, status: status || undefined });
      return {
        servers: seesAll(identity) ? found : found.filter(({ owner }) => owner === ownerOf(identity)),
      };
    },
    showServer: async ({ server }, caller) => ({ server: await permitted(server, caller) }),
    startServer: async ({ server }, caller) => {
      const { id } = await permitted(server, caller);
      return { server: await servers.startServer(id, requestedBy(caller)) };
    },
    stopServer: async ({ server, timeoutSeconds }, caller) => {
      const { id } = await permitted(server, caller);
      const timeoutMs = timeoutSeconds * 1000;
      return servers.stopServer(id, { timeoutMs, requestedBy: requestedBy(caller) });
    },
    deleteServer: async ({ server }, caller) => {
      const { id } = await permitted(server, caller);
      await servers.deleteServer(id, requestedBy(caller));
      return {};
    },
    migrateServer: async (request, caller) => {
      const { id } = await permitted(request.server, caller);
      if (request.host !== "") policy.requireHostChoice(caller.identity);
      if (request.force) policy.requireForce(caller.identity);
      const { host, force } = request;
      return migrations.migrate({ server: id, host: host || undefined, force, ...moved(request, caller) });
    },
    resizeServer: async (request, caller) => {
      const { id } = await permitted(request.server, caller);
      return migrations.resize({ server: id, flavor: request.flavor, ...moved(request, caller) });
    },
    checkServer: async (request, caller) => {
      const { id } = await permitted(request.server, caller);
      return checkServer({ ...request, server: id }, api, caller.signal);
    },
    confirmServer: async ({ server }, caller) => {
      const { id } = await permitted(server, caller);
      return { migration: await migrations.confirm(id, requestedBy(caller)) };
    },
    revertServer: async ({ server, discardWrites }, caller) => {
      const { id } = await permitted(server, caller);
      return { migration: await migrations.revert(id, { discardWrites, requestedBy: requestedBy(caller) }) };
    },
  });
}
