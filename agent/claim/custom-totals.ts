/**
 * What this host offers beside Nova's own resource classes: huge pages of each size, devices by alias, and what the
 * configuration names. Pure; what is used of it the controller knows.
 */

import { deviceClass, hugePagesClass } from "../../proto/resource-classes.js";
import type { AgentConfig } from "../config.js";
import type { Hardware } from "./free-hardware.js";
import { offeredDevices } from "./offered-devices.js";

/** By class; none is 0. A pool that is not known gives none. */
export function customTotals(
  { cells, pciDevices }: Pick<Hardware, "cells" | "pciDevices">,
  { pci_alias, custom_resources }: Pick<AgentConfig, "pci_alias" | "custom_resources">,
): ReadonlyMap<string, number> {
  const totals = new Map<string, number>();
  const add = (resourceClass: string, amount: number) => {
    if (amount > 0) totals.set(resourceClass, (totals.get(resourceClass) ?? 0) + amount);
  };
  for (const { hugePages } of cells)
    for (const { sizeKib, total = 0 } of hugePages) add(hugePagesClass(sizeKib), total);
  // As if no guest had any. A device of several aliases counts for each: the claim knows that it is one.
  const { devices } = offeredDevices(pciDevices, pci_alias, [], []);
  for (const alias of new Set(pci_alias.map(({ name }) => name)))
    add(deviceClass(alias), devices.filter(({ aliases }) => Object.hasOwn(aliases, alias)).length);
  for (const [resourceClass, total] of Object.entries(custom_resources)) add(resourceClass, total);
  return totals;
}
