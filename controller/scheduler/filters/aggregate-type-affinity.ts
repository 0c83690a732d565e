/** Hosts of an aggregate with `instance_type` are for the flavors that it names; all others are for every flavor. */

import { type Filter, PASS, refused } from "../filter.js";

export const aggregateTypeAffinityFilter: Filter = {
  name: "AggregateTypeAffinityFilter",
  prepare:
    ({ flavor }) =>
    host => {
      const flavors = host.metadata.get("instance_type");
      if (flavors === undefined || flavors.has(flavor.name)) return PASS;
      return refused(host, {
        message: `host ${host.name} is kept for other flavors`,
        have: `instance_type=${[...flavors].join(",")}`,
        need: `flavor ${flavor.name} among them`,
        fix: `add ${flavor.name} to instance_type of the aggregate, or choose another host`,
      });
    },
};
