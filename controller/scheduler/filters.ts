/**
 * The filters, in the order in which they are asked. All are asked of every host, so that a dry run can say everything
 * that stands in the way and not just the first thing.
 */

import type { FaultInfo, Host } from "../../proto/gen/ferry/v1/model.js";
import { shortagesOf } from "../placement/shortage.js";
import { type Filter, refused } from "./filter.js";

/** Enabled, up, and its libvirt hook proven: a host that cannot fence may not take a server. */
const computeFilter: Filter = {
  name: "ComputeFilter",
  refusals: (host, { force }) => [...(force ? [] : disabled(host)), ...silent(host), ...unguarded(host)],
};

function disabled(host: Host): FaultInfo[] {
  if (host.status === "enabled") return [];
  const because = host.disabledReason === "" ? "" : `: ${host.disabledReason}`;
  return [
    refused(host, {
      message: `host ${host.name} is disabled${because}`,
      have: "disabled",
      need: "enabled",
      fix: `ferry host enable ${host.name}`,
    }),
  ];
}

function silent(host: Host): FaultInfo[] {
  if (host.state === "up") return [];
  const message =
    host.state === "down"
      ? `host ${host.name} is down: its agent has stopped sending heartbeats`
      : `host ${host.name} has not been heard of since the controller started`;
  return [
    refused(host, {
      message,
      have: host.state,
      need: "up",
      fix: `look at ferry-agent on ${host.name}: systemctl status ferry-agent`,
    }),
  ];
}

function unguarded(host: Host): FaultInfo[] {
  if (host.hookProblem === "") return [];
  return [
    refused(host, {
      message: `host ${host.name} may take no server: ${host.hookProblem}`,
      have: host.hookProblem,
      need: "a libvirt hook that was seen to refuse",
      fix: `correct it on ${host.name}; its agent proves the hook again by itself`,
    }),
  ];
}

/** A server leaves its host, unless it is resized and the operator lets it stay for that. */
const differentHostFilter: Filter = {
  name: "DifferentHostFilter",
  refusals(host, { sourceHost, mayStay, requestedHost, ignoreHosts }) {
    if (host.name === sourceHost && !mayStay) {
      const reason = { have: host.name, need: "another host", fix: "name another host, or none" };
      const message =
        requestedHost === sourceHost
          ? "Cannot migrate to the host where the server exists."
          : `the server is on host ${sourceHost} now, and is moved or resized to another one`;
      return [refused(host, { message, ...reason })];
    }
    if (!ignoreHosts.includes(host.name)) return [];
    const reason = { have: "tried before", need: "a host that was not tried", fix: "migrate again later" };
    return [refused(host, { message: `host ${host.name} refused this server before`, ...reason })];
  },
};

/** Room by the bookings, not by what happens to be free: the target's agent looks at the latter. */
const resourceFilter: Filter = {
  name: "RamDiskCoreFilter",
  refusals: (host, { needed }) => shortagesOf(host.name, host.inventories, needed),
};

const requestedHostFilter: Filter = {
  name: "RequestedHostFilter",
  refusals(host, { requestedHost }) {
    if (requestedHost === "" || host.name === requestedHost) return [];
    const reason = { have: host.name, need: requestedHost, fix: "name no host to let the scheduler choose" };
    return [refused(host, { message: `host ${requestedHost} was asked for`, ...reason })];
  },
};

export const FILTERS: readonly Filter[] = [
  differentHostFilter,
  computeFilter,
  resourceFilter,
  requestedHostFilter,
];
