/** Hosts of an aggregate with `filter_tenant_id` are for the tenants that it names; all others are for everybody. */

import { type Filter, PASS, refused } from "../filter.js";

export const aggregateMultiTenancyIsolation: Filter = {
  name: "AggregateMultiTenancyIsolation",
  prepare:
    ({ tenant }) =>
    host => {
      const tenants = host.metadata.get("filter_tenant_id");
      if (tenants === undefined || tenants.has(tenant)) return PASS;
      return refused(host, {
        message: `host ${host.name} is kept for other tenants`,
        have: `filter_tenant_id=${[...tenants].join(",")}`,
        need: `${tenant} among them`,
        fix: `add ${tenant} to filter_tenant_id of the aggregate, or choose another host`,
      });
    },
};
