/**
 * What was asked of the scheduler when a server was made or adopted, checked and with every name resolved. It is kept
 * with the server and holds for each of its moves, as Nova keeps its request spec.
 */

import { Fault } from "../../proto/fault.js";
import type { SchedulerHints } from "../../proto/gen/ferry/v1/model.js";
import { DEFAULT_ZONE, zonesByHost } from "../store/aggregates.js";
import type { Queries } from "../store/schema.js";
import { findServerGroup } from "../store/server-groups.js";
import { findServer, type ServerRecord } from "../store/servers.js";

export interface ServerWishes {
  readonly availabilityZone?: string;
  readonly schedulerHints?: SchedulerHints | undefined;
  readonly imageProperties?: Readonly<Record<string, string>>;
}

/** The part of a server's row that says where it may be. */
export type ServerPlacing = Pick<
  ServerRecord,
  "serverGroup" | "availabilityZone" | "sameHost" | "differentHost" | "imageProperties"
>;

export async function placingOf(queries: Queries, wishes: ServerWishes): Promise<ServerPlacing> {
  const { availabilityZone = "", schedulerHints: hints, imageProperties = {} } = wishes;
  await refuseUnknownZone(queries, availabilityZone);
  const idsOf = async (servers: readonly string[] = []) => {
    const found = servers.map(nameOrId => findServer(queries, nameOrId));
    return (await Promise.all(found)).map(({ id }) => id);
  };
  const group = hints?.group ?? "";
  return {
    serverGroup: group === "" ? "" : (await findServerGroup(queries, group)).id,
    availabilityZone,
    sameHost: await idsOf(hints?.sameHost),
    differentHost: await idsOf(hints?.differentHost),
    imageProperties,
  };
}

async function refuseUnknownZone(queries: Queries, zone: string): Promise<void> {
  if (zone === "" || zone === DEFAULT_ZONE) return;
  const zones = new Set((await zonesByHost(queries)).values());
  if (zones.has(zone)) return;
  throw new Fault("invalid-argument", "The requested availability zone is not available", {
    have: [...zones, DEFAULT_ZONE].join(", "),
    need: `a host in zone ${zone}`,
    fix: `ferry host set HOST --zone ${zone}`,
  });
}
