/** /os-hypervisors: the hosts, what they have, and which servers live there. */

import { HostServiceService, ServerServiceService } from "../../../../proto/gen/ferry/v1/controller.js";
import type { Host, Server } from "../../../../proto/gen/ferry/v1/model.js";
import { HostDescriptions } from "../host-descriptions.js";
import { NovaError } from "../nova-error.js";
import { nextLinks, pageOf } from "../page.js";
import { isTrue } from "../python-boolean.js";
import { type NovaRequest, ok, type Route } from "../route.js";
import {
  hypervisorIdOf,
  hypervisorSummary,
  hypervisorView,
  numbersOf,
  serverRefs,
  UNKNOWN_UPTIME,
} from "../views/hypervisor-view.js";

export const hypervisorRoutes = (descriptions = new HostDescriptions()): Route[] => [
  { method: "GET", path: "/os-hypervisors", answer: request => list(request) },
  { method: "GET", path: "/os-hypervisors/detail", answer: request => list(request, descriptions) },
  { method: "GET", path: "/os-hypervisors/statistics", until: 87, answer: statistics },
  { method: "GET", path: "/os-hypervisors/:id", answer: request => show(request, descriptions) },
  { method: "GET", path: "/os-hypervisors/:id/uptime", until: 87, answer: uptime },
  { method: "GET", path: "/os-hypervisors/:id/search", until: 52, answer: search },
  { method: "GET", path: "/os-hypervisors/:id/servers", until: 52, answer: servers },
];

async function hostsOf(request: NovaRequest): Promise<Host[]> {
  return (await request.call(HostServiceService.listHosts, {})).hosts;
}

/** Since 2.53 a pattern and the servers are part of the one list. */
async function list(request: NovaRequest, descriptions?: HostDescriptions) {
  const { query, version } = request;
  const pattern = version >= 53 ? (query.hypervisor_hostname_pattern ?? "") : "";
  const hosts = (await hostsOf(request)).filter(({ name }) => name.includes(pattern));
  if (pattern !== "" && hosts.length === 0) throw noneMatches(pattern);
  const paging = version >= 33 ? request : { query: {} };
  const { items, next } = pageOf(hosts, paging, { idOf: host => String(hypervisorIdOf(request, host)) });
  const homes = version >= 53 && isTrue(query.with_servers) ? await serversByHost(request) : undefined;
  const details = await descriptions?.of(items, request.call);
  const path = details === undefined ? "os-hypervisors" : "os-hypervisors/detail";
  const hypervisors = items.map(host => ({
    ...(details === undefined
      ? hypervisorSummary(request, host)
      : hypervisorView(request, host, details.get(host.name))),
    ...(homes === undefined ? {} : { servers: serverRefs(homes.get(host.name) ?? []) }),
  }));
  return ok({ hypervisors, ...(version >= 33 ? nextLinks(request, path, next, "hypervisors_links") : {}) });
}

const noneMatches = (pattern: string): NovaError =>
  new NovaError(404, `No hypervisor matching '${pattern}' could be found.`);

async function serversByHost({ call }: NovaRequest): Promise<Map<string, Server[]>> {
  const all = await call(ServerServiceService.listServers, { host: "", status: "" });
  return Map.groupBy(all.servers, ({ host }) => host);
}

async function hypervisorOf(request: NovaRequest): Promise<Host> {
  const id = request.params.id ?? "";
  const found = (await hostsOf(request)).find(host => String(hypervisorIdOf(request, host)) === id);
  if (found === undefined) throw new NovaError(404, `Hypervisor with ID '${id}' could not be found.`);
  return found;
}

async function show(request: NovaRequest, descriptions: HostDescriptions) {
  const host = await hypervisorOf(request);
  const details = await descriptions.of([host], request.call);
  const asksServers = request.version >= 53 && isTrue(request.query.with_servers);
  const homes = asksServers ? await serversByHost(request) : undefined;
  return ok({
    hypervisor: {
      ...hypervisorView(request, host, details.get(host.name)),
      ...(homes === undefined ? {} : { servers: serverRefs(homes.get(host.name) ?? []) }),
    },
  });
}

async function statistics(request: NovaRequest) {
  const all = (await hostsOf(request)).map(numbersOf);
  const sum = (name: keyof ReturnType<typeof numbersOf>) => all.reduce((total, one) => total + one[name], 0);
  const names = Object.keys(numbersOf(EMPTY)) as (keyof ReturnType<typeof numbersOf>)[];
  const sums = Object.fromEntries(names.map(name => [name, sum(name)]));
  return ok({ hypervisor_statistics: { count: all.length, ...sums } });
}

const EMPTY = { inventories: [], servers: 0 } as unknown as Host;

async function uptime(request: NovaRequest) {
  const host = await hypervisorOf(request);
  if (host.state !== "up") throw new NovaError(400, `Service is unavailable at this time.`);
  return ok({ hypervisor: { ...hypervisorSummary(request, host), uptime: UNKNOWN_UPTIME } });
}

async function matching(request: NovaRequest): Promise<Host[]> {
  const pattern = request.params.id ?? "";
  const hosts = (await hostsOf(request)).filter(({ name }) => name.includes(pattern));
  if (hosts.length === 0) throw noneMatches(pattern);
  return hosts;
}

async function search(request: NovaRequest) {
  const hosts = await matching(request);
  return ok({ hypervisors: hosts.map(host => hypervisorSummary(request, host)) });
}

async function servers(request: NovaRequest) {
  const [hosts, homes] = [await matching(request), await serversByHost(request)];
  const withServers = hosts.map(host => {
    const here = serverRefs(homes.get(host.name) ?? []);
    return { ...hypervisorSummary(request, host), ...(here.length === 0 ? {} : { servers: here }) };
  });
  return ok({ hypervisors: withServers });
}
