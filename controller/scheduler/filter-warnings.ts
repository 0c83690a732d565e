/**
 * What is worth warning of about the enabled filters: without these two, servers with pins or cells are sent to hosts
 * that cannot take them, or that are kept for others, and are refused there one after the other.
 */

import type { Flavor } from "../../proto/gen/ferry/v1/model.js";
import type { FilterName } from "./filters/names.js";

const WANTED_BY_PINNED: readonly FilterName[] = ["NUMATopologyFilter", "AggregateInstanceExtraSpecsFilter"];

interface Sized {
  readonly name: string;
  readonly flavor: Flavor;
}

export function filterWarnings(servers: readonly Sized[], enabled: readonly FilterName[]): string[] {
  const pinned = servers.filter(({ flavor }) => isPinned(flavor));
  const [first] = pinned;
  if (first === undefined) return [];
  return WANTED_BY_PINNED.filter(name => !enabled.includes(name)).map(
    name =>
      `${name} is not enabled, and ${pinned.length} servers have dedicated CPUs or NUMA cells (one is ${first.name}): add it to enabled_filters in controller.toml`,
  );
}

const isPinned = ({ extraSpecs }: Flavor): boolean =>
  ["dedicated", "mixed"].includes(extraSpecs["hw:cpu_policy"] ?? "") ||
  extraSpecs["hw:numa_nodes"] !== undefined ||
  extraSpecs["hw:mem_page_size"] !== undefined;
