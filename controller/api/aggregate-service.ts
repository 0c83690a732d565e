/** AggregateService: host aggregates and availability zones. */

import { AggregateServiceService } from "../../proto/gen/ferry/v1/placement.js";
import { implement, type ServiceImplementation } from "../../proto/rpc-server.js";
import type { Api } from "./api.js";

export function aggregateService({ aggregates }: Api): ServiceImplementation {
  return implement<typeof AggregateServiceService>(AggregateServiceService, {
    createAggregate: async ({ name, availabilityZone, metadata }) => ({
      aggregate: await aggregates.create(name, availabilityZone, metadata),
    }),
    listAggregates: async () => ({ aggregates: await aggregates.list() }),
    showAggregate: async ({ aggregate }) => ({ aggregate: await aggregates.show(aggregate) }),
    updateAggregate: async ({ aggregate, ...change }) => ({
      aggregate: await aggregates.update(aggregate, change),
    }),
    setAggregateMetadata: async ({ aggregate, set, unset }) => ({
      aggregate: await aggregates.setMetadata(aggregate, set, unset),
    }),
    addAggregateHost: async ({ aggregate, host }) => ({
      aggregate: await aggregates.addHost(aggregate, host),
    }),
    removeAggregateHost: async ({ aggregate, host }) => ({
      aggregate: await aggregates.removeHost(aggregate, host),
    }),
    deleteAggregate: async ({ aggregate }) => {
      await aggregates.delete(aggregate);
      return {};
    },
    listAvailabilityZones: async () => ({ zones: await aggregates.zones() }),
  });
}
