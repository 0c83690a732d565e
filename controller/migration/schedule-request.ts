/** What the scheduler is asked for a server that exists: the same question for a check, a dry run and the real thing. */

import type { Wanted } from "../scheduler/request.js";
import type { ServerRecord } from "../store/servers.js";
import type { MigrationRequest } from "./request.js";

/** Where to and as what; a server leaves its host unless it may stay. */
export type Aim = Pick<MigrationRequest, "flavor" | "requestedHost" | "force" | "crossCell" | "mayStay">;

/** The server where it is, for another host. */
export const anywhereElse = ({ flavor }: ServerRecord): Aim => ({
  flavor,
  requestedHost: "",
  force: false,
  mayStay: false,
});

export function wantedOf(server: ServerRecord, { flavor, requestedHost, force, mayStay }: Aim): Wanted {
  const { serverGroup, availabilityZone, sameHost, differentHost, imageProperties } = server;
  return {
    serverGroup,
    availabilityZone,
    sameHost,
    differentHost,
    imageProperties,
    tenant: server.project || server.owner,
    serverId: server.id,
    flavor,
    sourceHost: server.host,
    requestedHost,
    force,
    ignoreHosts: mayStay ? [] : [server.host],
  };
}
