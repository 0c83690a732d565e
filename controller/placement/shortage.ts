/** Whether something fits on a host, and if not, why: the same answer for a claim and for the scheduler's filters. */

import type { FaultInfo, Inventory } from "../../proto/gen/ferry/v1/model.js";
import type { Resources } from "./resources.js";

const UNITS: Record<string, string> = {
  VCPU: "vCPUs",
  PCPU: "dedicated CPUs",
  MEMORY_MB: "MiB",
  DISK_GB: "GiB",
};
const NAMES: Record<string, string> = { VCPU: "CPU", PCPU: "CPU", MEMORY_MB: "memory", DISK_GB: "disk" };

/** What may be booked at all: `(total - reserved) × ratio`, rounded down as Nova does. */
export const capacityOf = ({ total, reserved, allocationRatio }: Inventory): number =>
  Math.max(0, Math.floor((total - reserved) * allocationRatio));

export const freeOf = (inventory: Inventory): number => capacityOf(inventory) - inventory.used;

/** One refusal per class that does not fit; a class that the host does not report has nothing free. */
export function shortagesOf(host: string, inventories: readonly Inventory[], needed: Resources): FaultInfo[] {
  return [...needed].flatMap(([resourceClass, amount]) => {
    const inventory = inventories.find(candidate => candidate.resourceClass === resourceClass);
    const free = inventory === undefined ? 0 : freeOf(inventory);
    if (amount <= free) return [];
    return [shortage(host, resourceClass, amount, free, inventory)];
  });
}

function shortage(
  host: string,
  resourceClass: string,
  amount: number,
  free: number,
  inventory: Inventory | undefined,
): FaultInfo {
  const unit = UNITS[resourceClass] ?? "units";
  const name = NAMES[resourceClass] ?? resourceClass;
  const booked =
    inventory === undefined ? "not reported" : `${inventory.used} of ${capacityOf(inventory)} booked`;
  return {
    code: "no-valid-host",
    message: `host ${host} has not enough ${name}`,
    have: `${Math.max(0, free)} ${unit} free (${booked})`,
    need: `${amount} ${unit}`,
    fix: `free ${name} on ${host}, or raise its allocation ratio`,
    host,
  };
}
