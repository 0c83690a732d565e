/** /os-aggregates and /os-availability-zone: hosts that have something in common, and where they are. */

import { HostServiceService } from "../../../../proto/gen/ferry/v1/controller.js";
import type { Host } from "../../../../proto/gen/ferry/v1/model.js";
import { type Aggregate, AggregateServiceService } from "../../../../proto/gen/ferry/v1/placement.js";
import { NovaError } from "../nova-error.js";
import { bodyOf, isAdmin, malformed, type NovaRequest, ok, type Route } from "../route.js";
import { requireValid, type Schema } from "../schema.js";
import { preciseTimeOf } from "../times.js";

export const aggregateRoutes: readonly Route[] = [
  { method: "GET", path: "/os-aggregates", answer: list },
  { method: "POST", path: "/os-aggregates", answer: create },
  { method: "GET", path: "/os-aggregates/:id", answer: show },
  { method: "PUT", path: "/os-aggregates/:id", answer: update },
  { method: "DELETE", path: "/os-aggregates/:id", answer: remove },
  { method: "POST", path: "/os-aggregates/:id/action", answer: act },
  { method: "GET", path: "/os-availability-zone", answer: zones },
  { method: "GET", path: "/os-availability-zone/detail", answer: zoneDetail },
];

/** What a new one answers with: Nova leaves its hosts and metadata out. */
const fresh = ({ version }: NovaRequest, aggregate: Aggregate) => ({
  id: aggregate.id,
  name: aggregate.name,
  availability_zone: aggregate.availabilityZone || null,
  created_at: preciseTimeOf(aggregate.createdAtMs),
  updated_at: aggregate.updatedAtMs === aggregate.createdAtMs ? null : preciseTimeOf(aggregate.updatedAtMs),
  deleted: false,
  deleted_at: null,
  ...(version >= 41 ? { uuid: aggregate.uuid } : {}),
});

function view(request: NovaRequest, aggregate: Aggregate): object {
  const { availabilityZone: zone, metadata, hosts } = aggregate;
  const all = { ...metadata, ...(zone === "" ? {} : { availability_zone: zone }) };
  return { ...fresh(request, aggregate), hosts, metadata: all };
}

async function list(request: NovaRequest) {
  const { aggregates } = await request.call(AggregateServiceService.listAggregates, {});
  return ok({ aggregates: aggregates.map(aggregate => view(request, aggregate)) });
}

/** By number: a name is no address here. */
async function aggregateOf({ call, params }: NovaRequest): Promise<Aggregate> {
  const id = params.id ?? "";
  const { aggregates } = await call(AggregateServiceService.listAggregates, {});
  const found = aggregates.find(aggregate => String(aggregate.id) === id);
  if (found === undefined) throw new NovaError(404, `Aggregate ${id} could not be found.`);
  return found;
}

async function show(request: NovaRequest) {
  return ok({ aggregate: view(request, await aggregateOf(request)) });
}

const NAME: Schema = { type: "string", minLength: 1, maxLength: 255, pattern: "^(?! ).*(?<! )$" };
const ZONE: Schema = { type: ["string", "null"], minLength: 1, maxLength: 255, pattern: "^[^:]*$" };

const aggregateSchema = (required: readonly string[]): Schema => ({
  type: "object",
  properties: {
    aggregate: {
      type: "object",
      properties: { name: NAME, availability_zone: ZONE },
      required,
      additionalProperties: false,
    },
  },
  required: ["aggregate"],
  additionalProperties: false,
});

interface Named {
  readonly name?: string;
  readonly availability_zone?: string | null;
}

async function create(request: NovaRequest) {
  const body = bodyOf(request);
  requireValid(aggregateSchema(["name"]), body);
  const { name = "", availability_zone } = body.aggregate as Named;
  const asked = { name, availabilityZone: availability_zone ?? "", metadata: {} };
  const { aggregate } = await request.call(AggregateServiceService.createAggregate, asked);
  return ok({ aggregate: aggregate && fresh(request, aggregate) });
}

async function update(request: NovaRequest) {
  const body = bodyOf(request);
  requireValid(aggregateSchema([]), body);
  const { id } = await aggregateOf(request);
  const { name, availability_zone: zone } = body.aggregate as Named;
  const answer = await request.call(AggregateServiceService.updateAggregate, {
    aggregate: String(id),
    ...(name === undefined ? {} : { name }),
    ...(zone === undefined ? {} : { availabilityZone: zone ?? "" }),
  });
  return ok({ aggregate: answer.aggregate && view(request, answer.aggregate) });
}

async function remove(request: NovaRequest) {
  const { id } = await aggregateOf(request);
  await request.call(AggregateServiceService.deleteAggregate, { aggregate: String(id) });
  return { status: 200 };
}

const only = (name: string, properties: Readonly<Record<string, Schema>>): Schema => ({
  type: "object",
  properties: {
    [name]: { type: "object", properties, required: Object.keys(properties), additionalProperties: false },
  },
  required: [name],
  additionalProperties: false,
});

const HOST: Schema = { type: "string", minLength: 1, maxLength: 255, pattern: "^[a-zA-Z0-9-._]*$" };
const VALUES: Schema = {
  type: "object",
  patternProperties: { "^[a-zA-Z0-9-_:. ]{1,255}$": { type: ["string", "null"], maxLength: 255 } },
  additionalProperties: false,
};

async function act(request: NovaRequest) {
  const body = bodyOf(request);
  const [name] = Object.keys(body);
  if (name === undefined) throw malformed();
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined) throw new NovaError(400, `There is no such action: ${name}`);
  requireValid(action.schema, body);
  const { id } = await aggregateOf(request);
  const changed = await action.act(request, String(id), body[name] as Record<string, never>);
  return ok({ aggregate: changed && view(request, changed) });
}

interface Action {
  readonly schema: Schema;
  act(
    request: NovaRequest,
    aggregate: string,
    argument: Record<string, never>,
  ): Promise<Aggregate | undefined>;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  add_host: {
    schema: only("add_host", { host: HOST }),
    act: async ({ call }, aggregate, { host = "" }) =>
      (await call(AggregateServiceService.addAggregateHost, { aggregate, host })).aggregate,
  },
  remove_host: {
    schema: only("remove_host", { host: HOST }),
    act: async ({ call }, aggregate, { host = "" }) =>
      (await call(AggregateServiceService.removeAggregateHost, { aggregate, host })).aggregate,
  },
  set_metadata: {
    schema: only("set_metadata", { metadata: VALUES }),
    act: async ({ call }, aggregate, { metadata = {} }) => {
      const entries = Object.entries(metadata as Record<string, string | null>);
      const set = Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== null));
      const unset = entries.filter(([, value]) => value === null).map(([key]) => key);
      return (await call(AggregateServiceService.setAggregateMetadata, { aggregate, set, unset })).aggregate;
    },
  },
};

async function zones({ call }: NovaRequest) {
  const answer = await call(AggregateServiceService.listAvailabilityZones, {});
  const shown = answer.zones.map(({ name, available }) => ({
    zoneName: name,
    zoneState: { available },
    hosts: null,
  }));
  return ok({ availabilityZoneInfo: shown });
}

async function zoneDetail(request: NovaRequest) {
  if (!isAdmin(request))
    throw new NovaError(
      403,
      "Policy doesn't allow os_compute_api:os-availability-zone:detail to be performed.",
    );
  const { call } = request;
  const { hosts } = await call(HostServiceService.listHosts, {});
  const byName = new Map(hosts.map(host => [host.name, host]));
  const answer = await call(AggregateServiceService.listAvailabilityZones, {});
  const shown = answer.zones.map(({ name, available, hosts: names }) => ({
    zoneName: name,
    zoneState: { available },
    hosts: Object.fromEntries(names.map(host => [host, serviceOf(byName.get(host))])),
  }));
  return ok({ availabilityZoneInfo: shown });
}

const serviceOf = (host: Host | undefined) => ({
  "nova-compute": {
    active: host?.status === "enabled",
    available: host?.state === "up",
    updated_at: preciseTimeOf(host?.lastHeartbeatMs ?? 0),
  },
});
