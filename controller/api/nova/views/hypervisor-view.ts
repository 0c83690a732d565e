/** A host as Nova shows it: a hypervisor with what it has and what is booked on it, and the service that speaks for it. */

import type { HostDescription } from "../../../../proto/gen/ferry/v1/host.js";
import type { Host, Server } from "../../../../proto/gen/ferry/v1/model.js";
import type { NovaRequest } from "../route.js";
import { numberOf, uuidOf } from "../stable-ids.js";
import { preciseTimeOf } from "../times.js";

type Context = Pick<NovaRequest, "version">;

/** A number until 2.53, a UUID since. */
export const hypervisorIdOf = ({ version }: Context, { name }: Host): string | number =>
  version >= 53 ? uuidOf("host", name) : numberOf("host", name);

export const serviceIdOf = ({ version }: Context, { name }: Host): string | number =>
  version >= 53 ? uuidOf("service", name) : numberOf("host", name);

export const hypervisorSummary = (request: Context, host: Host) => ({
  id: hypervisorIdOf(request, host),
  hypervisor_hostname: host.name,
  state: host.state === "up" ? "up" : "down",
  status: host.status,
});

export function hypervisorView(
  request: Context,
  host: Host,
  description: HostDescription | undefined,
): object {
  const { version } = request;
  return {
    ...hypervisorSummary(request, host),
    host_ip: addressOf(host),
    hypervisor_type: "QEMU",
    hypervisor_version: description?.hypervisor?.qemuVersion ?? 0,
    service: {
      id: serviceIdOf(request, host),
      host: host.name,
      disabled_reason: host.disabledReason || null,
    },
    // Not asked of the machine; the clients take any text.
    ...(version >= 88
      ? { uptime: UNKNOWN_UPTIME }
      : { ...numbersOf(host), cpu_info: cpuInfoOf(version, description) }),
  };
}

export const UNKNOWN_UPTIME = "unknown";

const addressOf = ({ address }: Host): string => address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");

/** Booked, not measured: what counts for whoever wants to put something there. */
export function numbersOf({ inventories, servers }: Host) {
  const of = (name: string) => inventories.find(({ resourceClass }) => resourceClass === name);
  const [cpu, ram, disk] = [of("VCPU"), of("MEMORY_MB"), of("DISK_GB")];
  const free = (one: typeof ram) => (one?.total ?? 0) - (one?.used ?? 0);
  return {
    vcpus: cpu?.total ?? 0,
    vcpus_used: cpu?.used ?? 0,
    memory_mb: ram?.total ?? 0,
    memory_mb_used: ram?.used ?? 0,
    free_ram_mb: free(ram),
    local_gb: disk?.total ?? 0,
    local_gb_used: disk?.used ?? 0,
    free_disk_gb: free(disk),
    disk_available_least: free(disk),
    running_vms: servers,
    current_workload: 0,
  };
}

/** JSON in a text until 2.28, and itself since. */
function cpuInfoOf(version: number, description: HostDescription | undefined): object | string {
  const cpu = description?.cpu;
  if (cpu === undefined) return version >= 28 ? {} : "";
  const info = {
    arch: description?.architecture ?? "",
    vendor: cpu.vendor ?? "",
    model: cpu.modelName ?? "",
    features: cpu.flags,
    topology: {
      cells: description?.numaCells.length || 1,
      sockets: cpu.sockets ?? 1,
      cores: cpu.cores ?? 1,
      threads: cpu.threads ?? 1,
    },
  };
  return version >= 28 ? info : JSON.stringify(info);
}

export const serverRefs = (servers: readonly Server[]) => servers.map(({ id, name }) => ({ uuid: id, name }));

export function serviceView(request: Context, host: Host): object {
  return {
    id: serviceIdOf(request, host),
    binary: "nova-compute",
    host: host.name,
    zone: host.availabilityZone,
    status: host.status,
    state: host.state === "up" ? "up" : "down",
    updated_at: preciseTimeOf(host.lastHeartbeatMs),
    disabled_reason: host.disabledReason || null,
    ...(request.version >= 11 ? { forced_down: host.forcedDown } : {}),
  };
}
