/** What `capabilities:` extra specs and image properties can ask about a host: Nova's names, from the host's state. */

import type { HostState } from "./host-state.js";

type Reader = (host: HostState) => string | number | undefined;

const ofInventory =
  (resourceClass: string, field: "total" | "used" | "left", factor = 1): Reader =>
  ({ inventories }) => {
    const inventory = inventories.find(candidate => candidate.resourceClass === resourceClass);
    if (inventory === undefined) return undefined;
    const value = field === "left" ? inventory.total - inventory.used : inventory[field];
    return value * factor;
  };

const CAPABILITIES: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ["host", host => host.name],
  ["hypervisor_hostname", host => host.name],
  ["hypervisor_type", host => hypervisorTypeOf(host)],
  ["hypervisor_version", host => host.hardware?.qemuVersion],
  ["vcpus_total", ofInventory("VCPU", "total")],
  ["vcpus_used", ofInventory("VCPU", "used")],
  ["total_usable_ram_mb", ofInventory("MEMORY_MB", "total")],
  ["free_ram_mb", ofInventory("MEMORY_MB", "left")],
  ["total_usable_disk_gb", ofInventory("DISK_GB", "total")],
  ["free_disk_mb", ofInventory("DISK_GB", "left", 1024)],
  ["num_instances", host => host.servers.size],
  ["num_io_ops", host => host.ioOperations],
  ["cpu_info:arch", host => host.hardware?.architecture],
  ["cpu_info:vendor", host => host.hardware?.cpuVendor],
  ["cpu_info:model", host => host.hardware?.cpuModel],
  ["cpu_info:features", host => host.hardware?.cpuFlags.join(" ")],
  ["cpu_info:topology:sockets", host => host.hardware?.sockets],
  ["cpu_info:topology:cores", host => host.hardware?.coresPerSocket],
  ["cpu_info:topology:threads", host => host.hardware?.threadsPerCore],
]);

/** Those without a scope of their own: an extra spec may name them as they are. */
export const CAPABILITY_NAMES: ReadonlySet<string> = new Set(
  [...CAPABILITIES.keys()].filter(name => !name.includes(":")),
);

/** Undefined when there is no such thing, or it is not known of this host. */
export function capabilityOf(host: HostState, name: string): string | undefined {
  const value = CAPABILITIES.get(name)?.(host);
  return value === undefined ? undefined : String(value);
}

/** kvm where the host has it. */
function hypervisorTypeOf({ guests }: HostState): string | undefined {
  const types = guests.map(({ hypervisorType }) => hypervisorType);
  return types.includes("kvm") ? "kvm" : types[0];
}
