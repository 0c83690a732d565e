/** What libvirt here says to the very machine that is to come: emulator, machine type, domain type and CPU. */

import { Fault } from "../../proto/fault.js";
import type { SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { DomainSupport } from "../../proto/gen/ferry/v1/host.js";
import { comparableCpuXml } from "../domain/guest-cpu.js";
import type { CpuComparison, DomainCapabilitiesQuery } from "../os/hypervisor.js";
import { domainCapabilitiesIn } from "../probe/domain-capabilities.js";
import type { World } from "./verb.js";

export interface MachineSupport {
  /** libvirt's words against the machine; empty: accepted. */
  readonly machineProblem: string;
  readonly support: DomainSupport | undefined;
}

export async function machineSupport(
  manifest: SourceManifest,
  emulatorPresent: boolean,
  { hypervisor }: World,
): Promise<MachineSupport> {
  if (!emulatorPresent) return { machineProblem: "no emulator", support: undefined };
  try {
    const support = domainCapabilitiesIn(await hypervisor.domainCapabilities(queryOf(manifest)));
    return { machineProblem: "", support };
  } catch (error) {
    if (error instanceof Fault && !error.isUnknown)
      return { machineProblem: error.message, support: undefined };
    throw error;
  }
}

/** Undefined when there is nothing to ask, or libvirt cannot say: for an architecture that it does not compare. */
export async function compareGuestCpu(
  manifest: SourceManifest,
  { hypervisor }: World,
): Promise<CpuComparison | undefined> {
  const asked = manifest.facts?.guestCpuXml;
  // Written anew: what came over the wire may lack a model, and libvirt would call any host a superset of it.
  const cpuXml = asked === undefined ? undefined : comparableCpuXml(asked);
  if (cpuXml === undefined) return undefined;
  try {
    return await hypervisor.compareHypervisorCpu(queryOf(manifest), cpuXml);
  } catch (error) {
    if (!(error instanceof Fault) || error.isUnknown) throw error;
    return undefined;
  }
}

const queryOf = ({ emulator, arch, machine, virtType }: SourceManifest): DomainCapabilitiesQuery => ({
  emulator,
  arch,
  machine,
  virttype: virtType,
});
