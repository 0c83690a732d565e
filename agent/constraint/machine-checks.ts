/** Checks of what libvirt and QEMU on the target offer: emulator, machine type, architecture, versions. */

import type { Versions } from "../os/hypervisor.js";
import type { Check, Objection } from "./check.js";
import { refused, unknown } from "./check.js";
import type { TargetFacts } from "./target-facts.js";

const DOMAIN_CAPABILITIES = "virConnectGetDomainCapabilities";

const emulator: Check = {
  name: "emulator",
  source: "access(2) of the emulator",
  judge: ({ emulatorPresent }, manifest) =>
    emulatorPresent
      ? []
      : [
          refused("the target lacks the emulator", {
            need: manifest.emulator,
            fix: "install the same QEMU package there",
          }),
        ],
};

const machine: Check = {
  name: "machine",
  source: DOMAIN_CAPABILITIES,
  judge: ({ machineProblem, emulatorPresent }, manifest) =>
    machineProblem === "" || !emulatorPresent
      ? []
      : [
          refused(`the target does not run this machine: ${machineProblem}`, {
            need: `${manifest.machine} (${manifest.arch}, ${manifest.virtType})`,
            fix: "upgrade QEMU on the target, or choose another host",
          }),
        ],
};

/** Emulated, any host will do that has the emulator, which `machine` says. */
const architecture: Check = {
  name: "architecture",
  source: "/proc/sys/kernel/arch, or host/cpu/arch of virConnectGetCapabilities",
  judge({ host }, { virtType, facts }) {
    if (virtType === "qemu") return [];
    const [have, need] = [host.architecture, facts?.architecture];
    if (have === undefined) return [unknown("the target's architecture", "uname -m there")];
    if (need === undefined) return [unknown("the source's architecture", "uname -m there")];
    if (have === need) return [];
    return [
      refused("the target has another CPU architecture", { have, need, fix: `choose a host of ${need}` }),
    ];
  },
};

const vcpus: Check = {
  name: "vcpus",
  source: DOMAIN_CAPABILITIES,
  judge(facts) {
    const { support, needs } = facts;
    if (support?.vcpusMax === undefined)
      return unlessRefusedBefore(facts, "the machine's largest vCPU count");
    if (support.vcpusMax >= needs.vcpus) return [];
    return [
      refused("the target's machine type takes fewer vCPUs", {
        have: String(support.vcpusMax),
        need: String(needs.vcpus),
        fix: "choose a host with a newer QEMU, or a smaller flavor",
      }),
    ];
  },
};

/** Without an answer to the machine as a whole, its details are not worth a line each. */
export function unlessRefusedBefore(
  { emulatorPresent, machineProblem }: TargetFacts,
  what: string,
): Objection[] {
  return emulatorPresent && machineProblem === "" ? [unknown(what, "virsh domcapabilities there")] : [];
}

/** A cold guest boots anew: what it needs of a version is its machine type, which is checked by name. */
const versionCheck = (name: string, program: string, which: keyof Versions): Check => ({
  name,
  source: which === "qemu" ? "virConnectGetVersion" : "virConnectGetLibVersion",
  informational: true,
  // A running guest's state is read by the target's QEMU.
  holdsLive: which === "qemu",
  judge({ host }, { facts }) {
    const have = host.versions?.[which];
    const need = which === "qemu" ? facts?.qemuVersion : facts?.libvirtVersion;
    if (have === undefined || need === undefined)
      return [unknown(`the version of ${program}`, "virsh version")];
    if (have >= need) return [];
    return [
      refused(`${program} on the target is older than on the source`, {
        have: formatVersion(have),
        need: `${formatVersion(need)} or newer`,
        fix: `upgrade ${program} on the target`,
      }),
    ];
  },
});

/** libvirt's major * 1000000 + minor * 1000 + release. */
const formatVersion = (version: number): string =>
  [Math.floor(version / 1_000_000), Math.floor(version / 1000) % 1000, version % 1000].join(".");

const securityLabels: Check = {
  name: "security-labels",
  source: "host/secmodel of virConnectGetCapabilities",
  judge({ host, needs }) {
    if (needs.securityModels.length === 0) return [];
    const { securityModels } = host;
    if (securityModels === undefined) return [unknown("the target's security models", "virsh capabilities")];
    return needs.securityModels
      .filter(model => !securityModels.includes(model))
      .map(model =>
        refused(`the domain has a label of a security model that the target lacks: ${model}`, {
          have: securityModels.join(", ") || "none",
          need: model,
          fix: "remove the <seclabel>, or enable that security driver on the target",
        }),
      );
  },
};

const definition: Check = {
  name: "definition",
  source: "virDomainDefineXML of a trial, undefined at once",
  judge: ({ defineProblem, emulatorPresent, machineProblem }) =>
    defineProblem === "" || !emulatorPresent || machineProblem !== ""
      ? []
      : [
          refused(`libvirt on the target refuses the domain: ${defineProblem}`, {
            fix: "compare libvirt and QEMU versions of both hosts",
          }),
        ],
};

export const MACHINE_CHECKS: readonly Check[] = [
  emulator,
  machine,
  architecture,
  vcpus,
  versionCheck("qemu-version", "QEMU", "qemu"),
  versionCheck("libvirt-version", "libvirt", "libvirt"),
  securityLabels,
];

/** Last: libvirt's words are the least specific. */
export const DEFINITION_CHECKS: readonly Check[] = [definition];
