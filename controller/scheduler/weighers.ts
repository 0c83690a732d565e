/**
 * How good a host is among those that pass, as Nova weighs: each weigher's value is stretched to 0…1 over these hosts,
 * times its multiplier, and the sum decides. An aggregate may have its own multiplier as metadata of the same name.
 */

import type { HostState } from "./host-state.js";
import type { ScheduleRequest } from "./request.js";
import type { SchedulerSettings } from "./settings.js";

type MultiplierName = Extract<keyof SchedulerSettings, `${string}_weight_multiplier`>;

interface Weigher {
  readonly name: string;
  readonly multiplier: MultiplierName;
  /** Reads the request once; undefined when it does not concern this weigher. */
  readonly prepare: (request: ScheduleRequest) => ((host: HostState) => number) | undefined;
}

/** Members of its group on the host; as many as possible, or as few. */
const members =
  (policy: string, sign: number) =>
  ({ group }: ScheduleRequest) =>
    group?.policy === policy
      ? ({ name }: HostState) => sign * (group.membersByHost.get(name) ?? 0)
      : undefined;

const WEIGHERS: readonly Weigher[] = [
  { name: "RAMWeigher", multiplier: "ram_weight_multiplier", prepare: () => host => host.freeRamMib },
  { name: "CPUWeigher", multiplier: "cpu_weight_multiplier", prepare: () => host => host.freeVcpus },
  { name: "DiskWeigher", multiplier: "disk_weight_multiplier", prepare: () => host => host.freeDiskGib },
  {
    name: "IoOpsWeigher",
    multiplier: "io_ops_weight_multiplier",
    prepare: () => host => host.ioOperations,
  },
  { name: "PCIWeigher", multiplier: "pci_weight_multiplier", prepare: devicesLeft },
  {
    name: "ServerGroupSoftAffinityWeigher",
    multiplier: "soft_affinity_weight_multiplier",
    prepare: members("soft-affinity", 1),
  },
  {
    name: "ServerGroupSoftAntiAffinityWeigher",
    multiplier: "soft_anti_affinity_weight_multiplier",
    prepare: members("soft-anti-affinity", -1),
  },
  {
    name: "HypervisorVersionWeigher",
    multiplier: "hypervisor_version_weight_multiplier",
    prepare: () => host => host.qemuVersion,
  },
  {
    name: "NumInstancesWeigher",
    multiplier: "num_instances_weight_multiplier",
    prepare: () => host => host.servers.size,
  },
];

/** Nova's: a host with devices is kept for servers that want them, and one with few for those that want few. */
const MOST_DEVICES = 100;

function devicesLeft({ hardware }: ScheduleRequest): (host: HostState) => number {
  const wanted = hardware.devices.length;
  return host => {
    const left = host.freeDevices - wanted;
    return left < 0 ? 0 : MOST_DEVICES / (1 + left);
  };
}

/** Weights in the order of the hosts. */
export function weigh(
  hosts: readonly HostState[],
  request: ScheduleRequest,
  settings: SchedulerSettings,
): Float64Array {
  const weights = new Float64Array(hosts.length);
  const mayDiffer = hosts.some(({ hasOwnMultipliers }) => hasOwnMultipliers);
  for (const { multiplier, prepare } of WEIGHERS) {
    const measure = settings[multiplier] === 0 && !mayDiffer ? undefined : prepare(request);
    if (measure !== undefined)
      addWeights(weights, hosts, measure, { multiplier, usual: settings[multiplier] });
  }
  return weights;
}

function addWeights(
  weights: Float64Array,
  hosts: readonly HostState[],
  measure: (host: HostState) => number,
  { multiplier: name, usual }: { readonly multiplier: MultiplierName; readonly usual: number },
): void {
  const values = new Float64Array(hosts.length);
  let [least, most, index] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const host of hosts) {
    const value = measure(host);
    values[index++] = value;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (most === least) return;
  index = 0;
  for (const host of hosts) {
    const share = ((values[index] ?? 0) - least) / (most - least);
    const multiplier = host.hasOwnMultipliers ? ownMultiplier(host, name, usual) : usual;
    weights[index] = (weights[index] ?? 0) + multiplier * share;
    index += 1;
  }
}

/** The smallest of its aggregates' own, or the configured one. */
function ownMultiplier({ metadata }: HostState, name: MultiplierName, usual: number): number {
  const numbers = [...(metadata.get(name) ?? [])].map(Number).filter(Number.isFinite);
  return numbers.length === 0 ? usual : Math.min(...numbers);
}
