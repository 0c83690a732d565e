/**
 * Checks of the processor.
 *
 * `cpu-features` is the rule of the node: whatever the guest sees, the target has all that the source has.
 * `cpu-passthrough` compares by ourselves and exactly, because libvirt cannot. `cpu-guest` asks the target's libvirt
 * about the CPU that the guest sees. An emulated guest sees a CPU of QEMU's: flags of the node are nothing to it.
 */

import type { SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { HostCpu } from "../../proto/gen/ferry/v1/host.js";
import type { Check, Objection } from "./check.js";
import { refused, unknown } from "./check.js";
import type { TargetFacts } from "./target-facts.js";

const CPUINFO = "/proc/cpuinfo";

/** Words by which the kernel speaks of itself, not of the processor. */
const KERNEL_WORDS: ReadonlySet<string> = new Set([
  "cpuid",
  "nopl",
  "pti",
  "rep_good",
  "retpoline",
  "tsc_known_freq",
]);

const features: Check = {
  name: "cpu-features",
  source: `flags in ${CPUINFO} of both hosts`,
  judge({ host, cpuCheck }, { virtType, facts }) {
    if (virtType === "qemu" || cpuCheck === "guest") return [];
    return lackingFlags(facts?.cpu, host.cpu);
  },
};

function lackingFlags(source: HostCpu | undefined, target: HostCpu): Objection[] {
  const missing = missingFlags(source, target);
  if (missing === undefined) return [unknown("the CPU flags of both hosts", CPUINFO)];
  if (missing.length === 0) return [];
  return [
    refused(`the target's CPU lacks features of the source's: ${missing.join(", ")}`, {
      have: target.modelName ?? "an unnamed CPU",
      need: `all flags of ${source?.modelName ?? "the source's CPU"}`,
      fix: 'choose another host, or set cpu_check = "guest" in agent.toml if the guest does not see them',
    }),
  ];
}

/** Undefined where a host's flags are not known. */
function missingFlags(source: HostCpu | undefined, target: HostCpu): string[] | undefined {
  if (source === undefined || source.flags.length === 0 || target.flags.length === 0) return undefined;
  const present = new Set(target.flags);
  return source.flags.filter(flag => !present.has(flag) && !KERNEL_WORDS.has(flag));
}

/** In the order in which two machines are told apart. */
const IDENTITY = ["vendor", "family", "model", "stepping", "microcode"] as const;

const passthrough: Check = {
  name: "cpu-passthrough",
  source: `vendor, family, model, stepping, microcode and flags in ${CPUINFO} of both hosts`,
  judge({ host, needs }, { virtType, facts }) {
    if (!isPassedThrough(needs.cpuMode, virtType)) return [];
    const source = facts?.cpu;
    if (source === undefined) return [unknown("the source's CPU", CPUINFO)];
    return [
      ...IDENTITY.flatMap(field => compareIdentity(field, source, host.cpu)),
      ...compareFlags(source, host.cpu),
    ];
  },
};

/** Under emulation `maximum` is QEMU's own, which `cpu-guest` compares. */
const isPassedThrough = (mode: string, virtType: string): boolean =>
  mode === "host-passthrough" || (mode === "maximum" && virtType !== "qemu");

const SAME_CPU = "choose a host with the same CPU, or give the guest a CPU model and restart it";

function compareIdentity(field: (typeof IDENTITY)[number], source: HostCpu, target: HostCpu): Objection[] {
  const [have, need] = [target[field], source[field]];
  if (have === undefined || need === undefined) return [unknown(`the CPU's ${field} on both hosts`, CPUINFO)];
  if (have === need) return [];
  const detail = { have: String(have), need: String(need), fix: SAME_CPU };
  return [refused(`the guest sees the host's own CPU, and the target's ${field} differs`, detail)];
}

function compareFlags(source: HostCpu, target: HostCpu): Objection[] {
  const [lost, gained] = [missingFlags(source, target), missingFlags(target, source)];
  if (lost === undefined || gained === undefined) return [unknown("the CPU flags of both hosts", CPUINFO)];
  if (lost.length + gained.length === 0) return [];
  return [
    refused("the guest sees the host's own CPU, and the target's flags differ", {
      have: gained.length === 0 ? "fewer" : `also ${gained.join(", ")}`,
      need: lost.length === 0 ? "no others" : lost.join(", "),
      fix: SAME_CPU,
    }),
  ];
}

const guest: Check = {
  name: "cpu-guest",
  source: "virConnectCompareHypervisorCPU on the target, with the running guest's CPU where there is one",
  judge(target, manifest) {
    const { needs, guestCpu } = target;
    if (isPassedThrough(needs.cpuMode, manifest.virtType)) return [];
    if (manifest.facts?.guestCpuXml === undefined) {
      return [
        unknown("the CPU that the guest sees", "virsh dumpxml and virsh domcapabilities on the source"),
      ];
    }
    if (guestCpu === undefined) {
      return [unknown("whether the target can give the guest its CPU", "virsh hypervisor-cpu-compare there")];
    }
    return guestCpu === "incompatible" ? incompatible(target, manifest) : [];
  },
};

/**
 * With check='none' libvirt starts a guest with less than its model names. Where the source itself has less, the
 * target does no worse if it has all that the source has: the node's flags, or a QEMU that is no older.
 */
function incompatible({ host, needs }: TargetFacts, { virtType, facts }: SourceManifest): Objection[] {
  const objection = refused("the target cannot give the guest the CPU that it has", {
    have: host.cpu.modelName ?? "an unnamed CPU",
    need: "the guest's model with all its features",
    fix: "virsh hypervisor-cpu-compare on the target says what is missing; choose another host or model",
  });
  if (needs.cpuCheck !== "none" || facts?.guestCpuComparison !== "incompatible") return [objection];
  if (virtType !== "qemu") return lackingFlags(facts.cpu, host.cpu);
  const [have, need] = [host.versions?.qemu, facts.qemuVersion];
  return have !== undefined && need !== undefined && have >= need ? [] : [objection];
}

export const CPU_CHECKS: readonly Check[] = [features, passthrough, guest];
