/** What the scheduler is told of this host beside its inventories: CPU, hypervisor, and which guests can run here. */

import type { HostDescription, HostHardware, SupportedGuest } from "../proto/gen/ferry/v1/host.js";

export function hostHardware({ architecture, cpu, hypervisor }: HostDescription): HostHardware {
  const { sockets, cores, threads } = cpu ?? {};
  return {
    architecture,
    qemuVersion: hypervisor?.qemuVersion,
    libvirtVersion: hypervisor?.libvirtVersion,
    cpuVendor: cpu?.vendor,
    cpuModel: cpu?.modelName,
    cpuFlags: cpu?.flags ?? [],
    sockets,
    coresPerSocket: quotient(cores, sockets),
    threadsPerCore: quotient(threads, cores),
    guests: guestsOf(hypervisor?.guests ?? []),
    free: undefined,
  };
}

const quotient = (whole: number | undefined, parts: number | undefined): number | undefined =>
  whole === undefined || parts === undefined || parts === 0 ? undefined : Math.floor(whole / parts);

function guestsOf(guests: NonNullable<HostDescription["hypervisor"]>["guests"]): SupportedGuest[] {
  return guests.flatMap(({ architecture, domainTypes, osType }) =>
    domainTypes.map(hypervisorType => ({ architecture, hypervisorType, vmMode: osType })),
  );
}
