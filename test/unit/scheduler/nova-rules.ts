/**
 * Nova's filters once more, read as literally and as slowly as possible: one function per filter, true when the host
 * passes. The oracle of the property test; shares nothing with the product but the shapes of hosts and requests.
 */

import type { HostState } from "../../../controller/scheduler/host-state.js";
import type { ScheduleRequest } from "../../../controller/scheduler/request.js";

type Rule = (host: HostState, request: ScheduleRequest, aggregates: Aggregates) => boolean;

/** Metadata of each aggregate of the host, as it was said. */
type Aggregates = readonly Readonly<Record<string, string>>[];

/** specs_matcher.match(value, req) of oslo.utils, line by line. */
export function match(value: string | undefined, req: string): boolean {
  const words = req.split(" ").filter(word => word !== "");
  const op = words.shift() ?? "";
  const operators = "= <in> <all-in> == != >= <= s== s!= s< s<= s> s>=".split(" ");
  if (op !== "<or>" && !operators.includes(op)) return value === req;
  if (value === undefined) return false;
  if (op === "<or>") {
    for (;;) {
      if (words.shift() === value) return true;
      if (words.length === 0) break;
      words.shift();
      if (words.length === 0) break;
    }
    return false;
  }
  const [word] = words;
  if (word === undefined) return false;
  if (op === "<all-in>") return words.every(one => value.includes(one));
  if (op === "<in>") return value.includes(word);
  if (op.startsWith("s")) {
    const order = value < word ? -1 : value > word ? 1 : 0;
    return (
      { "s==": order === 0, "s!=": order !== 0, "s<": order < 0, "s<=": order <= 0, "s>": order > 0 }[op] ??
      order >= 0
    );
  }
  const [have, need] = [Number(value), Number(word)];
  if (value.trim() === "" || Number.isNaN(have) || Number.isNaN(need)) return false;
  return (
    { "=": have >= need, "==": have === need, "!=": have !== need, ">=": have >= need }[op] ?? have <= need
  );
}

/** All values of a key in all aggregates of the host; commas separate values. */
const aggregateValues = (aggregates: Aggregates, key: string): string[] =>
  aggregates.flatMap(metadata =>
    Object.entries(metadata)
      .filter(([name]) => name === key)
      .flatMap(([, value]) => value.split(",").map(one => one.trim())),
  );

/** What the tests' hosts have of Nova's host state. */
const stats = (host: HostState): Record<string, string> => ({
  free_ram_mb: String((host.inventories[0]?.total ?? 0) - (host.inventories[0]?.used ?? 0)),
  num_instances: String(host.servers.size),
  hypervisor_type: "kvm",
});

export const NOVA: Readonly<Record<string, Rule>> = {
  AllHostsFilter: () => true,
  ComputeFilter: ({ status }) => status === "enabled",
  ComputeCapabilitiesFilter(host, { flavor }) {
    for (const [key, req] of Object.entries(flavor.extraSpecs)) {
      const scope = key.split(":");
      if (scope.length === 1) {
        if (!(key in stats(host))) continue;
      } else {
        if (scope[0] !== "capabilities") continue;
        scope.shift();
      }
      const value = stats(host)[scope.join(":")];
      if (value === undefined || !match(value, req)) return false;
    }
    return true;
  },
  ImagePropertiesFilter({ hardware }, { imageProperties: wanted }) {
    const tuple = ["hw_architecture", "img_hv_type", "hw_vm_mode"].map(name => wanted[name]);
    if (tuple.every(value => value === undefined)) return true;
    return (hardware?.guests ?? []).some(guest =>
      [guest.architecture, guest.hypervisorType, guest.vmMode].every(
        (have, index) => tuple[index] === undefined || tuple[index] === have,
      ),
    );
  },
  AggregateInstanceExtraSpecsFilter(_host, { flavor }, aggregates) {
    for (const [key, req] of Object.entries(flavor.extraSpecs)) {
      const [scope = "", ...rest] = key.split(":");
      if (rest.length > 0 && scope !== "aggregate_instance_extra_specs") continue;
      const name = rest.length > 0 ? rest.join(":") : scope;
      const values = aggregateValues(aggregates, name);
      if (values.length === 0 || !values.some(value => match(value, req))) return false;
    }
    return true;
  },
  AggregateMultiTenancyIsolation(_host, { tenant }, aggregates) {
    const tenants = aggregateValues(aggregates, "filter_tenant_id");
    return tenants.length === 0 || tenants.includes(tenant);
  },
  AggregateTypeAffinityFilter(_host, { flavor }, aggregates) {
    const types = aggregateValues(aggregates, "instance_type");
    return types.length === 0 || types.includes(flavor.name);
  },
  NumInstancesFilter: ({ servers }) => servers.size < 2,
  IoOpsFilter: ({ ioOperations }) => ioOperations < 2,
  ServerGroupAffinityFilter(host, { group }) {
    if (group?.policy !== "affinity") return true;
    const hosts = [...group.membersByHost.keys()];
    return hosts.length === 0 || hosts.includes(host.name);
  },
  ServerGroupAntiAffinityFilter(host, { group, serverId }) {
    if (group?.policy !== "anti-affinity") return true;
    if (host.servers.has(serverId)) return true;
    const members = group.membersByHost.get(host.name) ?? 0;
    return members < (group.maxServerPerHost || 1);
  },
  SameHostFilter: ({ servers }, { sameHost }) =>
    sameHost.length === 0 || sameHost.some(id => servers.has(id)),
  DifferentHostFilter: ({ servers }, { differentHost }) => !differentHost.some(id => servers.has(id)),
};
