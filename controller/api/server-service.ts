/** ServerService: servers and what is done to them. Members see and act on their own only. */

import { Fault } from "../../proto/fault.js";
import {
  type ListServersRequest,
  type ResizeServerRequest,
  ServerServiceService,
} from "../../proto/gen/ferry/v1/controller.js";
import type { Server } from "../../proto/gen/ferry/v1/model.js";
import { type Caller, implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import { checkServer } from "../migration/check-server.js";
import type { Requester } from "../migration/requester.js";
import { owns, seesAll, viewerOf } from "../policy/policy.js";
import type { ActionRecord } from "../store/actions.js";
import type { ServerSelection } from "../store/server-selection.js";
import type { Api } from "./api.js";
import { onceFor } from "./once.js";
import type { Identified } from "./requester-from.js";

/** What a migration and a resize are asked with alike. */
type MoveMessage = Omit<ResizeServerRequest, "server" | "flavor">;

const selectionOf = (asked: ListServersRequest): ServerSelection => ({
  ...asked,
  host: asked.host || undefined,
  status: asked.status || undefined,
  order: { key: asked.sortKey || "display_name", descending: asked.sortDescending ?? false },
  limit: asked.limit || undefined,
});

export function serverService(api: Api): ServiceImplementation {
  const { servers, migrations, policy } = api;
  const once = onceFor(api);
  const migrationOf = async ({ migrationId: id }: ActionRecord) => ({ migration: await migrations.show(id) });
  const moveOf = async (begun: ActionRecord) => ({ ...(await migrationOf(begun)), verdicts: [] });
  const serverOf = async (begun: ActionRecord, asked: Identified & { readonly noWait?: boolean } = {}) => {
    await servers.outcome(begun, asked);
    return { server: await servers.show(begun.serverId) };
  };
  const moved = (request: MoveMessage, requestedBy: Requester) => ({
    dryRun: request.dryRun,
    shutdownTimeoutMs: request.shutdownTimeoutSeconds * 1000 || undefined,
    gracefulOnly: request.gracefulOnly,
    readOnlyDrives: request.readOnlyDrives || undefined,
    networkMap: request.networkMap,
    compression: request.compression,
    blockDisks: request.blockDisks,
    requestedBy,
  });
  /** The server, if the caller may do this to it. */
  const permitted = async (nameOrId: string, { identity, path }: Caller): Promise<Server> => {
    const server = await servers.show(nameOrId);
    policy.requireOwner(identity, path, server);
    return server;
  };

  /** Also of a server that is gone, for those who see everything. */
  const knownId = async (nameOrId: string, caller: Caller): Promise<string> => {
    if (!seesAll(caller.identity)) return (await permitted(nameOrId, caller)).id;
    const server = await servers.show(nameOrId).catch(() => undefined);
    if (server !== undefined) return server.id;
    if ((await servers.actions(nameOrId)).length > 0) return nameOrId;
    throw new Fault("not-found", `Instance ${nameOrId} could not be found.`);
  };

  return implement<typeof ServerServiceService>(ServerServiceService, {
    createServer: once(
      async (request, _caller, requestedBy) => ({ server: await servers.create(request, requestedBy) }),
      serverOf,
    ),
    adoptServer: once(
      (request, _caller, requestedBy) => servers.adopt({ ...request, requestedBy }),
      async begun => ({ ...(await serverOf(begun)), suggestions: [], refusals: [] }),
    ),
    listServers: async (request, { identity }) => ({
      servers: await servers.list({ ...selectionOf(request), visibleTo: viewerOf(identity) }),
    }),
    showServer: async ({ server }, caller) => ({ server: await permitted(server, caller) }),
    startServer: once(async (request, caller, requestedBy) => {
      const { id } = await permitted(request.server, caller);
      return { server: await servers.startServer(id, requestedBy, request) };
    }, serverOf),
    stopServer: once(
      async ({ server, timeoutSeconds, noWait }, caller, requestedBy) => {
        const { id } = await permitted(server, caller);
        const limit = timeoutSeconds === 0 ? {} : { timeoutMs: timeoutSeconds * 1000 };
        return servers.stopServer(id, { ...limit, noWait, requestedBy });
      },
      async (begun, request) => ({ ...(await serverOf(begun, request)), note: "" }),
    ),
    deleteServer: once(
      async (request, caller, requestedBy) => {
        const { id } = await permitted(request.server, caller);
        await servers.deleteServer(id, requestedBy, request);
        return {};
      },
      async (begun, request) => {
        await servers.outcome(begun, request);
        return {};
      },
    ),
    lockServer: once(async ({ server, reason }, caller, requestedBy) => {
      const found = await permitted(server, caller);
      const as = owns(caller.identity, found) ? "owner" : "admin";
      return { server: await servers.lock(found.id, { as, reason, requestedBy }) };
    }, serverOf),
    unlockServer: once(async ({ server }, caller, requestedBy) => {
      const { id, lockedBy, ...found } = await permitted(server, caller);
      const as = owns(caller.identity, found) ? "owner" : "admin";
      if (lockedBy !== "" && lockedBy !== as) policy.requireUnlockOverride(caller.identity);
      return { server: await servers.unlock(id, requestedBy) };
    }, serverOf),
    resetServerState: once(async ({ server, state }, caller, requestedBy) => {
      const { id } = await permitted(server, caller);
      return { server: await servers.resetState(id, state, requestedBy) };
    }, serverOf),
    listServerActions: async ({ server, requestId }, caller) => {
      const id = await knownId(server, caller);
      const actions = await servers.actions(id);
      return { actions: actions.filter(action => requestId === "" || action.requestId === requestId) };
    },
    migrateServer: once(async (request, caller, requestedBy) => {
      const { id } = await permitted(request.server, caller);
      if (request.host !== "") policy.requireHostChoice(caller.identity);
      if (request.force) policy.requireForce(caller.identity);
      const { host, force, diskFormat, priority } = request;
      const mayCrossCells = policy.allowsCrossCell(caller.identity);
      const aim = { host: host || undefined, force, mayCrossCells, diskFormat, priority };
      return migrations.migrate({ server: id, ...aim, ...moved(request, requestedBy) });
    }, moveOf),
    resizeServer: once(async (request, caller, requestedBy) => {
      const { id } = await permitted(request.server, caller);
      const { flavor, priority } = request;
      return migrations.resize({ server: id, flavor, priority, ...moved(request, requestedBy) });
    }, moveOf),
    checkServer: async (request, caller) => {
      const { id } = await permitted(request.server, caller);
      const crossCell = request.host !== "" && policy.allowsCrossCell(caller.identity);
      return checkServer({ ...request, server: id, crossCell }, api, caller.signal);
    },
    confirmServer: once(async ({ server, migration }, caller, requestedBy) => {
      const { id } = await permitted(server, caller);
      return { migration: await migrations.confirm(id, requestedBy, { migration }) };
    }, migrationOf),
    revertServer: once(async ({ server, discardWrites, migration }, caller, requestedBy) => {
      const { id } = await permitted(server, caller);
      return { migration: await migrations.revert(id, { discardWrites, migration, requestedBy }) };
    }, migrationOf),
  });
}
