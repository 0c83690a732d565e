/**
 * What the scheduler is asked: Nova's request spec. Resolved once from the store, so that filters are pure functions of
 * it and of a host.
 */

import type { GuestHardware } from "../../proto/fit/guest-hardware.js";
import { readGuestHardware } from "../../proto/fit/read-guest-hardware.js";
import type { Flavor } from "../../proto/gen/ferry/v1/model.js";
import { type Resources, resourcesOf } from "../placement/resources.js";
import { placesOfServers } from "../store/allocations.js";
import type { Queries } from "../store/schema.js";
import { findServerGroup } from "../store/server-groups.js";
import type { ServerRecord } from "../store/servers.js";

/** What is to be placed, and what was asked of where. */
export interface Wanted
  extends Pick<
    ServerRecord,
    "serverGroup" | "availabilityZone" | "sameHost" | "differentHost" | "imageProperties"
  > {
  /** Project, or whoever owns the server. */
  readonly tenant: string;
  readonly serverId: string;
  readonly flavor: Flavor;
  /** Where the server is now; empty when it is nowhere yet. */
  readonly sourceHost: string;
  /** The only host that will do; empty: any. */
  readonly requestedHost: string;
  /** Overrules what is advice. What it has no room for and whether it answers are facts. */
  readonly force: boolean;
  /** The source is one of them, unless the server may stay where it is. */
  readonly ignoreHosts: readonly string[];
}

export interface ScheduleRequest extends Omit<Wanted, "serverGroup"> {
  readonly needed: Resources;
  /** Cells, pins, pages and devices. */
  readonly hardware: GuestHardware;
  readonly requiredTraits: readonly string[];
  readonly forbiddenTraits: readonly string[];
  readonly group: GroupView | undefined;
}

/** A server group, as it is without the server that is being placed. */
export interface GroupView {
  readonly name: string;
  /** affinity | anti-affinity | soft-affinity | soft-anti-affinity */
  readonly policy: string;
  readonly maxServerPerHost: number;
  /** How many of its other servers are on each host. */
  readonly membersByHost: ReadonlyMap<string, number>;
}

export async function scheduleRequest(
  queries: Queries,
  { serverGroup, ...wanted }: Wanted,
): Promise<ScheduleRequest> {
  return {
    ...wanted,
    needed: resourcesOf(wanted.flavor),
    hardware: readGuestHardware(wanted.flavor.extraSpecs, wanted.flavor),
    requiredTraits: traitsIn(wanted.flavor, "required"),
    forbiddenTraits: traitsIn(wanted.flavor, "forbidden"),
    group: serverGroup === "" ? undefined : await groupView(queries, serverGroup, wanted.serverId),
  };
}

export async function groupView(queries: Queries, id: string, serverId: string): Promise<GroupView> {
  const { name, policy, maxServerPerHost, members } = await findServerGroup(queries, id);
  const others = members.filter(member => member !== serverId);
  return { name, policy, maxServerPerHost, membersByHost: await placesOfServers(queries, others) };
}

/** `trait:HW_CPU_X86_AVX2=required` of a flavor. */
function traitsIn({ extraSpecs }: Flavor, word: "required" | "forbidden"): string[] {
  return Object.entries(extraSpecs).flatMap(([key, value]) =>
    key.startsWith("trait:") && value === word ? [key.slice("trait:".length)] : [],
  );
}
