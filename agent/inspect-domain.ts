/** InspectDomain: a domain by name or uuid, told apart for an operator who thinks of adopting it. */

import { Fault } from "../proto/fault.js";
import type {
  AssignedDevice,
  InspectDomainRequest,
  InspectDomainResponse,
} from "../proto/gen/ferry/v1/agent.js";
import type { NetworkInterface } from "../proto/gen/ferry/v1/model.js";
import type { Domain } from "./domain/domain-xml.js";
import { hardwareWordsOf } from "./domain/hardware-words.js";
import type { DomainSummary } from "./os/hypervisor.js";
import { powerStateOf } from "./power-state.js";
import { declaredRoles, diskOf, readOnlyDrivesOf, surveyDomain } from "./survey-domain.js";
import type { World } from "./verbs/verb.js";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export async function inspectDomain(
  request: InspectDomainRequest,
  world: World,
): Promise<InspectDomainResponse> {
  const summary = await findByNameOrUuid(request.domain, world);
  const rules = {
    declared: declaredRoles(request.swapDisks, request.ephemeralDisks),
    readOnlyDrives: readOnlyDrivesOf(request.readOnlyDrives),
  };
  const { domain, disks, refusals, suggestions, assignedDevices } = await surveyDomain(summary, rules, world);
  return {
    uuid: summary.uuid,
    name: summary.name,
    powerState: powerStateOf(summary),
    vcpus: domain.vcpus,
    memoryMib: Math.ceil(domain.memoryKib / 1024),
    disks: disks.map(diskOf),
    interfaces: interfacesOf(domain),
    refusals: [...refusals],
    suggestions: [...suggestions],
    extraSpecs: { ...hardwareWordsOf(domain), ...deviceWords(assignedDevices) },
  };
}

/** Ports of networks are no part of a flavor. */
function deviceWords(devices: readonly AssignedDevice[]): Record<string, string> {
  const aliases = devices.map(({ alias }) => alias).filter(alias => !alias.startsWith("network/"));
  const counts = [...new Set(aliases)].map(
    alias => `${alias}:${aliases.filter(other => other === alias).length}`,
  );
  return counts.length === 0 ? {} : { "pci_passthrough:alias": counts.join(",") };
}

async function findByNameOrUuid(text: string, { hypervisor }: World): Promise<DomainSummary> {
  const byUuid = UUID.test(text) ? await hypervisor.findDomain(text.toLowerCase()) : undefined;
  const found = byUuid ?? (await hypervisor.findDomainByName(text));
  if (found === undefined) {
    throw new Fault("not-found", `no domain ${JSON.stringify(text)} on this host`, {
      fix: "virsh list --all shows what there is",
    });
  }
  return found;
}

export const interfacesOf = (domain: Domain): NetworkInterface[] =>
  domain.interfaces.map(nic => ({
    mac: nic.mac ?? "",
    type: nic.type,
    source: nic.network ?? nic.bridge ?? "",
  }));
