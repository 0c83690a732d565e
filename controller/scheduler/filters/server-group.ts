/**
 * Server groups. Affinity: on a host where the others are. Anti-affinity: on a host that has fewer of them than it may
 * have; a host that has this very server already passes, because it would have no more of them.
 */

import type { FaultInfo } from "../../../proto/gen/ferry/v1/model.js";
import { type Filter, PASS, refused } from "../filter.js";
import type { HostState } from "../host-state.js";
import type { GroupView } from "../request.js";

export const serverGroupAffinityFilter: Filter = {
  name: "ServerGroupAffinityFilter",
  prepare({ group }) {
    if (group?.policy !== "affinity" || group.membersByHost.size === 0) return undefined;
    return host => {
      if (group.membersByHost.has(host.name)) return PASS;
      const hosts = [...group.membersByHost.keys()].join(", ");
      return refused(host, {
        message: `host ${host.name} has no server of group ${group.name}, whose policy is affinity`,
        have: `the group is on ${hosts}`,
        need: hosts,
        fix: "a group of policy affinity does not leave its host one by one; resize on the same host, or use soft-affinity",
      });
    };
  },
};

export const serverGroupAntiAffinityFilter: Filter = {
  name: "ServerGroupAntiAffinityFilter",
  prepare({ group, serverId }) {
    if (group?.policy !== "anti-affinity") return undefined;
    return host => (host.servers.has(serverId) ? PASS : antiAffinityRefusal(host, group));
  },
};

/** The same for a decision and for the claim that follows it. */
export function antiAffinityRefusal(
  host: Pick<HostState, "name">,
  { name, maxServerPerHost, membersByHost }: GroupView,
): readonly FaultInfo[] {
  const most = Math.max(1, maxServerPerHost);
  const members = membersByHost.get(host.name) ?? 0;
  if (members < most) return PASS;
  return refused(host, {
    message: `host ${host.name} has servers of group ${name} already, whose policy is anti-affinity`,
    have: `${members} of them on ${host.name}`,
    need: `fewer than ${most}`,
    fix: "choose another host, or a group with a larger --max-server-per-host",
  });
}
