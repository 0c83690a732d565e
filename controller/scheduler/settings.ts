/** What an operator may set about scheduling: `[filter_scheduler]` of controller.toml, by Nova's names. */

import { z } from "zod";
import { FILTER_NAMES } from "./filters/names.js";

const multiplier = (usual: number) => z.number().default(usual);
const count = z.number().int().min(1);

export const filterSchedulerSchema = z.strictObject({
  /** Asked in this order. */
  enabled_filters: z
    .array(z.enum(FILTER_NAMES))
    .default([
      "ComputeFilter",
      "ComputeCapabilitiesFilter",
      "ImagePropertiesFilter",
      "ServerGroupAntiAffinityFilter",
      "ServerGroupAffinityFilter",
      "SameHostFilter",
      "DifferentHostFilter",
      "AggregateInstanceExtraSpecsFilter",
      "NUMATopologyFilter",
      "PciPassthroughFilter",
    ]),
  max_io_ops_per_host: count.default(8),
  max_instances_per_host: count.default(50),
  /** One of the best so many hosts is taken, at random. */
  host_subset_size: count.default(1),
  ram_weight_multiplier: multiplier(1),
  cpu_weight_multiplier: multiplier(1),
  disk_weight_multiplier: multiplier(1),
  io_ops_weight_multiplier: multiplier(-1),
  pci_weight_multiplier: multiplier(1),
  soft_affinity_weight_multiplier: multiplier(1),
  soft_anti_affinity_weight_multiplier: multiplier(1),
  hypervisor_version_weight_multiplier: multiplier(1),
  num_instances_weight_multiplier: multiplier(0),
});

export type SchedulerSettings = z.infer<typeof filterSchedulerSchema>;

export const DEFAULT_SCHEDULER_SETTINGS: SchedulerSettings = filterSchedulerSchema.parse({});
