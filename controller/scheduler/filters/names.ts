/** The filters that can be enabled, by Nova's names. */

export const FILTER_NAMES = [
  "AllHostsFilter",
  "ComputeFilter",
  "ComputeCapabilitiesFilter",
  "ImagePropertiesFilter",
  "AggregateInstanceExtraSpecsFilter",
  "AggregateMultiTenancyIsolation",
  "AggregateTypeAffinityFilter",
  "NumInstancesFilter",
  "IoOpsFilter",
  "NUMATopologyFilter",
  "PciPassthroughFilter",
  "ServerGroupAffinityFilter",
  "ServerGroupAntiAffinityFilter",
  "SameHostFilter",
  "DifferentHostFilter",
] as const;

export type FilterName = (typeof FILTER_NAMES)[number];
