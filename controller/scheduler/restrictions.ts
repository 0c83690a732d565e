/**
 * What is asked of every host whatever filters are enabled: what Nova leaves to placement and to its request
 * pre-filters, and what no operator can overrule. Zone and traits are wishes, and give way to force.
 */

import { shortagesOf } from "../placement/shortage.js";
import { type Filter, PASS, refused } from "./filter.js";

const requestedDestination: Filter = {
  name: "requested_destination",
  prepare({ requestedHost }) {
    if (requestedHost === "") return undefined;
    return host => {
      if (host.name === requestedHost) return PASS;
      const reason = {
        have: host.name,
        need: requestedHost,
        fix: "name no host to let the scheduler choose",
      };
      return refused(host, { message: `host ${requestedHost} was asked for`, ...reason });
    };
  },
};

/** A server leaves its host, unless it may stay there. */
const ignoreHosts: Filter = {
  name: "ignore_hosts",
  prepare({ ignoreHosts: ignored, sourceHost, requestedHost }) {
    if (ignored.length === 0) return undefined;
    const names = new Set(ignored);
    return host => {
      if (!names.has(host.name)) return PASS;
      if (host.name !== sourceHost) {
        const reason = {
          have: "tried before",
          need: "a host that was not tried",
          fix: "migrate again later",
        };
        return refused(host, { message: `host ${host.name} refused this server before`, ...reason });
      }
      const message =
        requestedHost === sourceHost
          ? "Cannot migrate to the host where the server exists."
          : `the server is on host ${sourceHost} now, and is moved or resized to another one`;
      const reason = { have: host.name, need: "another host", fix: "name another host, or none" };
      return refused(host, { message, ...reason });
    };
  },
};

/** Nova's ComputeFilter asks this; no operator can want to do without it. */
const reachable: Filter = {
  name: "ComputeFilter",
  prepare: () => host => {
    if (host.state === "up") return PASS;
    const message =
      host.state === "down"
        ? `host ${host.name} is down: its agent has stopped sending heartbeats`
        : `host ${host.name} has not been heard of since the controller started`;
    return refused(host, {
      message,
      have: host.state,
      need: "up",
      fix: `look at ferry-agent on ${host.name}: systemctl status ferry-agent`,
    });
  },
};

/** A host that cannot fence may not take a server. */
const guarded: Filter = {
  name: "ComputeFilter",
  prepare: () => host => {
    if (host.problem === "") return PASS;
    return refused(host, {
      message: `host ${host.name} may take no server: ${host.problem}`,
      have: host.problem,
      need: "a libvirt hook that was seen to refuse",
      fix: `correct it on ${host.name}; its agent proves the hook again by itself`,
    });
  },
};

const zone: Filter = {
  name: "map_az_to_placement_aggregate",
  prepare({ availabilityZone: wanted, force }) {
    if (wanted === "" || force) return undefined;
    return host => {
      if (host.zone === wanted) return PASS;
      return refused(host, {
        message: `host ${host.name} is not in the availability zone that the server was asked into`,
        have: host.zone,
        need: wanted,
        fix: `choose a host of zone ${wanted}, or ferry host set ${host.name} --zone ${wanted}`,
      });
    };
  },
};

const traits: Filter = {
  name: "placement",
  prepare({ requiredTraits, forbiddenTraits, force }) {
    if (force || requiredTraits.length + forbiddenTraits.length === 0) return undefined;
    return host => {
      const missing = requiredTraits.filter(trait => !host.traits.has(trait));
      const unwanted = forbiddenTraits.filter(trait => host.traits.has(trait));
      if (missing.length + unwanted.length === 0) return PASS;
      const complaints = [
        ...(missing.length === 0 ? [] : [`lacks ${missing.join(", ")}`]),
        ...(unwanted.length === 0 ? [] : [`has ${unwanted.join(", ")}`]),
      ];
      return refused(host, {
        message: `host ${host.name} ${complaints.join(" and ")}`,
        have:
          [...host.traits].filter(trait => trait.startsWith("CUSTOM_")).join(", ") || "no traits of its own",
        need: [...requiredTraits, ...forbiddenTraits.map(trait => `not ${trait}`)].join(", "),
        fix: `choose another host or flavor; ferry host set ${host.name} --trait says what a host has`,
      });
    };
  },
};

/** Room by the bookings, not by what happens to be free: the target's agent looks at the latter. */
const room: Filter = {
  name: "placement",
  prepare({ needed }) {
    const classes = [...needed];
    return host => {
      const fits = classes.every(([resourceClass, amount]) => amount <= (host.free.get(resourceClass) ?? 0));
      return fits ? PASS : shortagesOf(host.name, host.inventories, needed);
    };
  },
};

export const RESTRICTIONS: readonly Filter[] = [
  ignoreHosts,
  reachable,
  guarded,
  room,
  zone,
  traits,
  requestedDestination,
];
