/** The filters by name. */

import type { Filter } from "../filter.js";
import { aggregateInstanceExtraSpecsFilter } from "./aggregate-instance-extra-specs.js";
import { aggregateMultiTenancyIsolation } from "./aggregate-multi-tenancy-isolation.js";
import { aggregateTypeAffinityFilter } from "./aggregate-type-affinity.js";
import { allHostsFilter } from "./all-hosts.js";
import { computeFilter } from "./compute.js";
import { computeCapabilitiesFilter } from "./compute-capabilities.js";
import { numaTopologyFilter, pciPassthroughFilter } from "./hardware.js";
import { imagePropertiesFilter } from "./image-properties.js";
import { ioOpsFilter, numInstancesFilter } from "./limits.js";
import type { FilterName } from "./names.js";
import { differentHostFilter, sameHostFilter } from "./same-host.js";
import { serverGroupAffinityFilter, serverGroupAntiAffinityFilter } from "./server-group.js";

export const FILTERS: Readonly<Record<FilterName, Filter>> = {
  AllHostsFilter: allHostsFilter,
  ComputeFilter: computeFilter,
  ComputeCapabilitiesFilter: computeCapabilitiesFilter,
  ImagePropertiesFilter: imagePropertiesFilter,
  AggregateInstanceExtraSpecsFilter: aggregateInstanceExtraSpecsFilter,
  AggregateMultiTenancyIsolation: aggregateMultiTenancyIsolation,
  AggregateTypeAffinityFilter: aggregateTypeAffinityFilter,
  NumInstancesFilter: numInstancesFilter,
  IoOpsFilter: ioOpsFilter,
  NUMATopologyFilter: numaTopologyFilter,
  PciPassthroughFilter: pciPassthroughFilter,
  ServerGroupAffinityFilter: serverGroupAffinityFilter,
  ServerGroupAntiAffinityFilter: serverGroupAntiAffinityFilter,
  SameHostFilter: sameHostFilter,
  DifferentHostFilter: differentHostFilter,
};
