/**
 * What is asked of every host whatever filters are enabled: what Nova leaves to placement and to its request
 * pre-filters, and what no operator can overrule. Zone and traits are wishes, and give way to force.
 */

import type { Resources } from "../placement/resources.js";
import { shortagesOf } from "../placement/shortage.js";
import type { Filter } from "./filter.js";
import type { HostState } from "./host-state.js";

const requestedDestination: Filter = {
  name: "requested_destination",
  prepare({ requestedHost }) {
    if (requestedHost === "") return undefined;
    return {
      passes: ({ name }) => name === requestedHost,
      why: ({ name }) => ({
        message: `host ${requestedHost} was asked for`,
        have: name,
        need: requestedHost,
        fix: "name no host to let the scheduler choose",
      }),
    };
  },
};

/** A server leaves its host, unless it may stay there. */
const ignoreHosts: Filter = {
  name: "ignore_hosts",
  prepare({ ignoreHosts: ignored, sourceHost, requestedHost }) {
    if (ignored.length === 0) return undefined;
    return {
      passes: ({ name }) => !ignored.includes(name),
      why({ name }) {
        if (name !== sourceHost) {
          const reason = {
            have: "tried before",
            need: "a host that was not tried",
            fix: "migrate again later",
          };
          return { message: `host ${name} refused this server before`, ...reason };
        }
        const message =
          requestedHost === sourceHost
            ? "Cannot migrate to the host where the server exists."
            : `the server is on host ${sourceHost} now, and is moved or resized to another one`;
        return { message, have: name, need: "another host", fix: "name another host, or none" };
      },
    };
  },
};

/** Nova's ComputeFilter asks this; no operator can want to do without it. */
const reachable: Filter = {
  name: "ComputeFilter",
  prepare: () => ({
    passes: ({ state }) => state === "up",
    why: ({ name, state }) => ({
      message:
        state === "down"
          ? `host ${name} is down: its agent has stopped sending heartbeats`
          : `host ${name} has not been heard of since the controller started`,
      have: state,
      need: "up",
      fix: `look at ferry-agent on ${name}: systemctl status ferry-agent`,
    }),
  }),
};

/** A host that cannot fence may not take a server. */
const guarded: Filter = {
  name: "ComputeFilter",
  prepare: () => ({
    passes: ({ problem }) => problem === "",
    why: ({ name, problem }) => ({
      message: `host ${name} may take no server: ${problem}`,
      have: problem,
      need: "a libvirt hook that was seen to refuse",
      fix: `correct it on ${name}; its agent proves the hook again by itself`,
    }),
  }),
};

const zone: Filter = {
  name: "map_az_to_placement_aggregate",
  prepare({ availabilityZone: wanted, force }) {
    if (wanted === "" || force) return undefined;
    return {
      passes: host => host.zone === wanted,
      why: host => ({
        message: `host ${host.name} is not in the availability zone that the server was asked into`,
        have: host.zone,
        need: wanted,
        fix: `choose a host of zone ${wanted}, or ferry host set ${host.name} --zone ${wanted}`,
      }),
    };
  },
};

const traits: Filter = {
  name: "placement",
  prepare({ requiredTraits, forbiddenTraits, force }) {
    if (force || requiredTraits.length + forbiddenTraits.length === 0) return undefined;
    return {
      passes: host =>
        requiredTraits.every(trait => host.traits.has(trait)) &&
        !forbiddenTraits.some(trait => host.traits.has(trait)),
      why: host => {
        const missing = requiredTraits.filter(trait => !host.traits.has(trait));
        const unwanted = forbiddenTraits.filter(trait => host.traits.has(trait));
        const complaints = [
          ...(missing.length === 0 ? [] : [`lacks ${missing.join(", ")}`]),
          ...(unwanted.length === 0 ? [] : [`has ${unwanted.join(", ")}`]),
        ];
        return {
          message: `host ${host.name} ${complaints.join(" and ")}`,
          have:
            [...host.traits].filter(trait => trait.startsWith("CUSTOM_")).join(", ") || "no trait of its own",
          need: [...requiredTraits, ...forbiddenTraits.map(trait => `not ${trait}`)].join(", "),
          fix: `choose another host or flavor; ferry host set ${host.name} --trait says what a host has`,
        };
      },
    };
  },
};

/** Room by the bookings, not by what happens to be free: the target's agent looks at the latter. */
const room: Filter = {
  name: "placement",
  prepare({ needed }) {
    return {
      passes: roomFor(needed),
      why: ({ name, inventories }) => shortagesOf(name, inventories, needed),
    };
  },
};

/** What every server needs is a field of the host; the rest is looked up. What is not needed may even be oversold. */
function roomFor(needed: Resources): (host: HostState) => boolean {
  const least = (resourceClass: string) => needed.get(resourceClass) ?? Number.NEGATIVE_INFINITY;
  const [vcpus, pcpus, ramMib, diskGib] = [
    least("VCPU"),
    least("PCPU"),
    least("MEMORY_MB"),
    least("DISK_GB"),
  ];
  const others = [...needed].filter(([resourceClass]) => !USUAL_CLASSES.has(resourceClass));
  return host =>
    vcpus <= host.freeVcpus &&
    ramMib <= host.freeRamMib &&
    diskGib <= host.freeDiskGib &&
    pcpus <= host.freePcpus &&
    others.every(([resourceClass, amount]) => amount <= (host.free.get(resourceClass) ?? 0));
}

const USUAL_CLASSES: ReadonlySet<string> = new Set(["VCPU", "PCPU", "MEMORY_MB", "DISK_GB"]);

/** Those first that cost least and refuse most. */
export const RESTRICTIONS: readonly Filter[] = [
  requestedDestination,
  ignoreHosts,
  reachable,
  guarded,
  zone,
  room,
  traits,
];
