/** The flavor of a domain that was not made from one: its own sizes, named after it. */

import type { InspectDomainResponse } from "../../proto/gen/ferry/v1/agent.js";
import type { Flavor } from "../../proto/gen/ferry/v1/model.js";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/** Disk sizes round up; disks that are neither ephemeral nor swap count as root, so that all of them are booked. */
export function flavorOfDomain({
  uuid,
  name,
  vcpus,
  memoryMib,
  disks,
  extraSpecs,
}: InspectDomainResponse): Flavor {
  const bytesOf = (...roles: string[]) =>
    disks.filter(({ role }) => roles.includes(role)).reduce((sum, disk) => sum + disk.virtualSizeBytes, 0);
  return {
    id: `adopted-${uuid}`,
    name: `adopted-${name}`,
    vcpus,
    ramMib: memoryMib,
    rootGib: Math.ceil(bytesOf("root", "data", "config-drive") / GIB),
    ephemeralGib: Math.ceil(bytesOf("ephemeral") / GIB),
    swapMib: Math.ceil(bytesOf("swap") / MIB),
    extraSpecs,
  };
}
