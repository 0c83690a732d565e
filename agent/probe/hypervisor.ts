/**
 * What libvirt tells of itself, its emulators and what domains can have here.
 *
 * Each question that libvirt refuses or does not answer is one problem; the rest of the description stands.
 */

import { Fault } from "../../proto/fault.js";
import type { DomainSupport, HypervisorDescription } from "../../proto/gen/ferry/v1/host.js";
import type { DomainCapabilitiesQuery, Hypervisor } from "../os/hypervisor.js";
import { type Capabilities, capabilitiesIn } from "./capabilities.js";
import { domainCapabilitiesIn } from "./domain-capabilities.js";
import type { Report } from "./tree.js";

/** The questions that a description asks. */
export type HypervisorFacts = Pick<
  Hypervisor,
  "versions" | "capabilities" | "domainCapabilities" | "storagePools" | "networks"
>;

export interface HypervisorReading {
  readonly description: HypervisorDescription;
  /** libvirt's word for the host's architecture. */
  readonly architecture: string | undefined;
}

export async function readHypervisor(
  hypervisor: HypervisorFacts,
  report: Report,
): Promise<HypervisorReading> {
  const [versions, capabilities] = await Promise.all([
    answered("versions", report, () => hypervisor.versions()),
    answered("capabilities", report, async () => capabilitiesIn(await hypervisor.capabilities())),
  ]);
  const queries = capabilities ? domainQueries(capabilities) : [];
  const domains = await Promise.all(queries.map(query => askDomainSupport(hypervisor, query, report)));
  return {
    architecture: capabilities?.architecture,
    description: {
      libvirtVersion: versions?.libvirt,
      qemuVersion: versions?.qemu,
      hostUuid: capabilities?.hostUuid,
      hostCpuXml: capabilities?.hostCpuXml,
      securityModels: capabilities?.securityModels ?? [],
      guests: capabilities?.guests ?? [],
      domains: domains.filter(domain => domain !== undefined),
    },
  };
}

/** The answer, or undefined and a problem when libvirt gives a fault. */
export async function answered<T>(
  question: string,
  report: Report,
  ask: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    report(`libvirt ${question}: ${error.message}`);
    return undefined;
  }
}

/**
 * One query for each domain type and each machine alias (pc, q35, virt) of the host's own architecture: aliases
 * stand for the newest version of a family, and families differ in firmware and buses where versions do not.
 */
function domainQueries({ guests, architecture }: Capabilities): DomainCapabilitiesQuery[] {
  const own = guests.filter(guest => guest.architecture === architecture && guest.osType === "hvm");
  return own.flatMap(({ emulator, domainTypes, machines }) =>
    domainTypes.flatMap(virttype =>
      machines
        .filter(machine => machine.canonicalName !== undefined)
        .map(machine => ({
          emulator,
          virttype,
          machine: machine.name,
          ...(architecture && { arch: architecture }),
        })),
    ),
  );
}

function askDomainSupport(
  hypervisor: HypervisorFacts,
  query: DomainCapabilitiesQuery,
  report: Report,
): Promise<DomainSupport | undefined> {
  const question = `domain capabilities of ${query.machine} (${query.virttype})`;
  return answered(question, report, async () =>
    domainCapabilitiesIn(await hypervisor.domainCapabilities(query)),
  );
}
