/** What the scheduler is told of this host beside its inventories: CPU, hypervisor, which guests can run, what is free. */

import type {
  FreeHardware,
  HostDescription,
  HostHardware,
  SupportedGuest,
} from "../proto/gen/ferry/v1/host.js";

export function hostHardware(
  { architecture, cpu, hypervisor }: HostDescription,
  free: FreeHardware,
): HostHardware {
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
    free,
  };
}

const quotient = (whole: number | undefined, parts: number | undefined): number | undefined =>
  whole === undefined || parts === undefined || parts === 0 ? undefined : Math.floor(whole / parts);

function guestsOf(guests: NonNullable<HostDescription["hypervisor"]>["guests"]): SupportedGuest[] {
  return guests.flatMap(({ architecture, domainTypes, osType }) =>
    domainTypes.map(hypervisorType => ({ architecture, hypervisorType, vmMode: osType })),
  );
}
