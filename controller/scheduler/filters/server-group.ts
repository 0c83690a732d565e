/**
 * Server groups. Affinity: on a host where the others are. Anti-affinity: on a host that has fewer of them than it may
 * have; a host that has this very server already passes, because it would have no more of them.
 */

import type { Filter, Reason } from "../filter.js";
import type { GroupView } from "../request.js";

export const serverGroupAffinityFilter: Filter = {
  name: "ServerGroupAffinityFilter",
  prepare({ group }) {
    if (group?.policy !== "affinity" || group.membersByHost.size === 0) return undefined;
    return {
      passes: ({ name }) => group.membersByHost.has(name),
      why: ({ name }) => ({
        message: `host ${name} has no server of group ${group.name}, whose policy is affinity`,
        have: `the group is on ${[...group.membersByHost.keys()].join(", ")}`,
        need: "the host where the others are",
        fix: "a group of policy affinity does not leave its host one by one; resize on the same host, or use soft-affinity",
      }),
    };
  },
};

export const serverGroupAntiAffinityFilter: Filter = {
  name: "ServerGroupAntiAffinityFilter",
  prepare({ group, serverId }) {
    if (group?.policy !== "anti-affinity") return undefined;
    return {
      passes: ({ name, servers }) => servers.has(serverId) || mayTakeAnother(name, group),
      why: ({ name }) => tooManyTogether(name, group),
    };
  },
};

/** The same for a decision and for the claim that follows it. */
export const mayTakeAnother = (host: string, { membersByHost, maxServerPerHost }: GroupView): boolean =>
  (membersByHost.get(host) ?? 0) < Math.max(1, maxServerPerHost);

export const tooManyTogether = (
  host: string,
  { name, maxServerPerHost, membersByHost }: GroupView,
): Reason => ({
  message: `host ${host} has servers of group ${name} already, whose policy is anti-affinity`,
  have: `${membersByHost.get(host) ?? 0} of them on ${host}`,
  need: `fewer than ${Math.max(1, maxServerPerHost)}`,
  fix: "choose another host, or a group with a larger --max-server-per-host",
});
