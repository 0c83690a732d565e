/** Hosts of an aggregate with `instance_type` are for the flavors that it names; all others are for every flavor. */

import type { Filter } from "../filter.js";

export const aggregateTypeAffinityFilter: Filter = {
  name: "AggregateTypeAffinityFilter",
  prepare: ({ flavor }) => ({
    passes: ({ metadata }) => metadata.get("instance_type")?.has(flavor.name) ?? true,
    why: ({ name, metadata }) => ({
      message: `host ${name} is kept for other flavors`,
      have: `instance_type=${[...(metadata.get("instance_type") ?? [])].join(",")}`,
      need: `flavor ${flavor.name} among them`,
      fix: `add ${flavor.name} to instance_type of the aggregate, or choose another host`,
    }),
  }),
};
