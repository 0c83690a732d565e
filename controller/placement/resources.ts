/**
 * What a server of a flavor needs, in resource classes. Vcpus are VCPU or, with a CPU of their own, PCPU, as are isolated
 * emulator threads; memory is MEMORY_MB whatever pages it is in; pages of a size that the flavor names and devices of
 * its aliases have classes of their own. `resources:CLASS=N` of a flavor replaces an amount; 0 books nothing.
 *
 * Pages of a size that the target may choose (`large`, `any`) and ports of a physical network are booked in the claim
 * of the target's agent alone, which looks at every page and device in any case.
 */

import { Fault } from "../../proto/fault.js";
import { dedicatedCount, FLOATING, type GuestHardware } from "../../proto/fit/guest-hardware.js";
import { readGuestHardware } from "../../proto/fit/read-guest-hardware.js";
import type { Flavor } from "../../proto/gen/ferry/v1/model.js";
import { deviceClass, hugePagesClass, RESOURCE_CLASS } from "../../proto/resource-classes.js";

/** Amount by resource class; none is 0. */
export type Resources = ReadonlyMap<string, number>;

const MIB_PER_GIB = 1024;

/** Swap is in MiB and rounds up to the next GiB, as Nova books it. */
export function resourcesOf(flavor: Flavor): Resources {
  const hardware = hardwareOf(flavor);
  const pinned = hardware.cells.reduce((sum, { dedicated }) => sum + dedicated.length, 0);
  const diskGib = flavor.rootGib + flavor.ephemeralGib + Math.ceil(flavor.swapMib / MIB_PER_GIB);
  const needed = new Map([
    ["VCPU", flavor.vcpus - pinned],
    ["PCPU", dedicatedCount(hardware)],
    ["MEMORY_MB", flavor.ramMib],
    ["DISK_GB", diskGib],
    ...pagesOf(hardware),
    ...devicesOf(hardware),
    ...overridesOf(flavor),
  ]);
  return new Map([...needed].filter(([, amount]) => amount > 0));
}

/** One that contradicts itself is refused where hardware is fitted; until then it is its sizes. */
function hardwareOf(flavor: Flavor): GuestHardware {
  try {
    return readGuestHardware(flavor.extraSpecs, flavor);
  } catch (error) {
    if (error instanceof Fault) return FLOATING;
    throw error;
  }
}

function pagesOf({ cells, pageSize }: GuestHardware): [string, number][] {
  if (typeof pageSize !== "number") return [];
  const pages = cells.reduce((sum, { memoryKib }) => sum + Math.ceil(memoryKib / pageSize), 0);
  return [[hugePagesClass(pageSize), pages]];
}

const devicesOf = ({ devices }: GuestHardware): [string, number][] =>
  [...Map.groupBy(devices, ({ alias }) => deviceClass(alias))].map(([name, requests]) => [
    name,
    requests.length,
  ]);

const OVERRIDE = "resources:";
const GROUP = /^resources[A-Za-z0-9_-]+:/;

/** Refused when they say nothing that can be booked. */
export function overridesOf({ extraSpecs }: Pick<Flavor, "extraSpecs">): [string, number][] {
  return Object.entries(extraSpecs).flatMap(([key, value]): [string, number][] => {
    if (GROUP.test(key))
      throw new Fault("unsupported", `a flavor cannot ask for a group of resources: ${key}`, {
        have: key,
        need: "resources:CLASS=N",
        fix: "a host is one provider here: leave the group's number out",
      });
    if (!key.startsWith(OVERRIDE)) return [];
    const resourceClass = key.slice(OVERRIDE.length);
    if (!RESOURCE_CLASS.test(resourceClass) || !/^\d{1,9}$/.test(value))
      throw new Fault("invalid-argument", `invalid extra spec ${key}`, {
        have: `${key}=${value}`,
        need: "resources:CLASS=N, a class in capital letters and a whole number",
        fix: "correct the flavor's extra specs",
      });
    return [[resourceClass, Number(value)]];
  });
}
