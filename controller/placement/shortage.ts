/** Whether something fits on a host, and if not, why: the same answer for a claim and for the scheduler's filters. */

import type { FaultInfo, Inventory } from "../../proto/gen/ferry/v1/model.js";
import type { Resources } from "./resources.js";

/** What a class is called in a sentence, and what is counted of it. */
function wordsOf(resourceClass: string): { readonly name: string; readonly unit: string } {
  const known = WORDS[resourceClass];
  if (known !== undefined) return known;
  const [, kind, what = ""] = /^CUSTOM_(HUGEPAGES|PCI)_(.+)$/.exec(resourceClass) ?? [];
  if (kind === "HUGEPAGES") return { name: `huge pages of ${what}`, unit: "pages" };
  if (kind === "PCI") return { name: `devices (${resourceClass})`, unit: "devices" };
  return { name: resourceClass, unit: "units" };
}

const WORDS: Record<string, { readonly name: string; readonly unit: string }> = {
  VCPU: { name: "CPU", unit: "vCPUs" },
  PCPU: { name: "CPU", unit: "dedicated CPUs" },
  MEMORY_MB: { name: "memory", unit: "MiB" },
  DISK_GB: { name: "disk", unit: "GiB" },
};

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
  const { name, unit } = wordsOf(resourceClass);
  const booked =
    inventory === undefined ? "not reported" : `${inventory.used} of ${capacityOf(inventory)} booked`;
  return {
    code: "no-valid-host",
    message: `host ${host} has not enough ${name}`,
    have: `${Math.max(0, free)} ${unit} free (${booked})`,
    need: `${amount} ${unit}`,
    fix: resourceClass.startsWith("CUSTOM_")
      ? `free ${name} on ${host}, or choose another host`
      : `free ${name} on ${host}, or raise its allocation ratio`,
    host,
  };
}
