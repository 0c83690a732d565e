/** What a server of a flavor needs, in Nova's resource classes. */

import type { Flavor } from "../../proto/gen/ferry/v1/model.js";

/** Amount by resource class: VCPU or PCPU, MEMORY_MB, DISK_GB. */
export type Resources = ReadonlyMap<string, number>;

const MIB_PER_GIB = 1024;

/** Swap is in MiB and rounds up to the next GiB, as Nova books it. */
export function resourcesOf(flavor: Flavor): Resources {
  const cpuClass = flavor.extraSpecs["hw:cpu_policy"] === "dedicated" ? "PCPU" : "VCPU";
  const diskGib = flavor.rootGib + flavor.ephemeralGib + Math.ceil(flavor.swapMib / MIB_PER_GIB);
  const needed: [string, number][] = [
    [cpuClass, flavor.vcpus],
    ["MEMORY_MB", flavor.ramMib],
    ["DISK_GB", diskGib],
  ];
  return new Map(needed.filter(([, amount]) => amount > 0));
}
