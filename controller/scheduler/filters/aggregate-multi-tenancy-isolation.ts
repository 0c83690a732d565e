/** Hosts of an aggregate with `filter_tenant_id` are for the tenants that it names; all others are for everybody. */

import type { Filter } from "../filter.js";

export const aggregateMultiTenancyIsolation: Filter = {
  name: "AggregateMultiTenancyIsolation",
  prepare: ({ tenant }) => ({
    passes: ({ metadata }) => metadata.get("filter_tenant_id")?.has(tenant) ?? true,
    why: ({ name, metadata }) => ({
      message: `host ${name} is kept for other tenants`,
      have: `filter_tenant_id=${[...(metadata.get("filter_tenant_id") ?? [])].join(",")}`,
      need: `${tenant} among them`,
      fix: `add ${tenant} to filter_tenant_id of the aggregate, or choose another host`,
    }),
  }),
};
