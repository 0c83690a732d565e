/**
 * Facts to judge by: a target that lacks nothing for an emulated or accelerated guest, captured hosts (test/fixtures) as
 * source or target, and guests written as the XML that libvirt would keep.
 */

import { evaluate, refusalsOf } from "../../../agent/constraint/checks.js";
import type { TargetFacts, TargetHost } from "../../../agent/constraint/target-facts.js";
import { readDomain } from "../../../agent/domain/domain-xml.js";
import { type GuestNeeds, guestNeeds } from "../../../agent/domain/guest-needs.js";
import { readCpu } from "../../../agent/probe/cpu.js";
import { parseDomainCapabilities } from "../../../agent/probe/domain-capabilities.js";
import { readIdentity } from "../../../agent/probe/identity.js";
import { readMemory } from "../../../agent/probe/memory.js";
import { parseMounts } from "../../../agent/probe/mounts.js";
import { readNumaCells } from "../../../agent/probe/numa.js";
import { openTrees } from "../../../agent/probe/roots.js";
import { FLOATING } from "../../../proto/fit/guest-hardware.js";
import { SourceManifest } from "../../../proto/gen/ferry/v1/agent.js";
import { FreeHardware } from "../../../proto/gen/ferry/v1/host.js";
import type { CheckResult } from "../../../proto/gen/ferry/v1/model.js";
import { unpackHost } from "../probe/captured-host.js";
import { recording } from "../probe/recorded-libvirt.js";

interface GuestXml {
  /** Elements beside the common ones: `<cpu>`, `<memoryBacking>`, … */
  readonly parts?: string;
  readonly devices?: string;
  /** Inside `<os>`, and its attributes. */
  readonly os?: string;
  readonly osAttributes?: string;
  readonly memoryMib?: number;
}

export const domainXml = ({
  parts = "",
  devices = "",
  os = "",
  osAttributes = "",
  memoryMib = 512,
}: GuestXml = {}): string =>
  `<domain type="kvm"><name>web</name><uuid>3f2b1c4e-5a6d-4e7f-8091-a2b3c4d5e6f7</uuid>
<memory unit="MiB">${memoryMib}</memory><vcpu>2</vcpu>
<os ${osAttributes}><type arch="x86_64" machine="pc-q35-7.2">hvm</type>${os}</os>${parts}
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>${devices}</devices></domain>`;

export const needsOf = (guest: GuestXml = {}) => guestNeeds(readDomain(domainXml(guest)));

/** Everything that a target has at once, read from a captured tree. */
export async function capturedHost(name: string): Promise<TargetHost> {
  const captured = unpackHost(name);
  try {
    const trees = openTrees(captured.roots, () => undefined);
    const mounts = (await trees.proc.value("self/mountinfo", parseMounts)) ?? [];
    const [identity, cpu] = await Promise.all([readIdentity(trees), readCpu(trees)]);
    return {
      ...software,
      architecture: identity.architecture ?? "x86_64",
      cpu,
      memory: await readMemory(trees, mounts),
      cells: await readNumaCells(trees.sys, cpu.topology),
    };
  } finally {
    captured.remove();
  }
}

const software = {
  versions: { libvirt: 9_000_000, qemu: 7_002_022 },
  securityModels: ["apparmor", "dac"],
  firmware: [],
  firmwareBytes: new Map<string, number>(),
  swtpm: { version: "0.7.1", features: ["tpm-1.2", "tpm-2.0"] },
};

export const factsOn = (host: TargetHost, needs: GuestNeeds = needsOf()): TargetFacts => ({
  host,
  support: parseDomainCapabilities(recording("domain-capabilities-kvm-q35")),
  guestCpu: "superset",
  needs,
  hardware: { free: FreeHardware.fromPartial({}), guest: FLOATING, problem: undefined },
  cpuCheck: "node",
  hookProblem: "",
  occupiedBy: "",
  volumeRefusals: [],
  deviceRefusals: [],
  uuidTaken: false,
  nameTakenBy: undefined,
  emulatorPresent: true,
  machineProblem: "",
  defineProblem: "",
  cell: "",
  crossCell: false,
  portBandwidths: [],
  missingNetworks: [],
  missingPaths: [],
  fileRefusals: [],
  memoryAvailableMib: 512,
  bytesAvailable: 100,
  bytesNeeded: 100,
});

const GUEST_CPU = '<cpu mode="custom" match="exact"><model>Nehalem</model></cpu>';

export const manifestFrom = (
  { architecture, cpu, versions, swtpm }: TargetHost,
  change: Parameters<typeof SourceManifest.fromPartial>[0] = {},
): SourceManifest => {
  const { facts, ...rest } = change;
  return SourceManifest.fromPartial({
    emulator: "/usr/bin/qemu-system-x86_64",
    machine: "pc-q35-7.2",
    arch: "x86_64",
    virtType: "kvm",
    memoryMib: 512,
    powerState: "RUNNING",
    domainXml: domainXml(),
    facts: {
      architecture,
      cpu,
      qemuVersion: versions?.qemu,
      libvirtVersion: versions?.libvirt,
      guestCpuXml: GUEST_CPU,
      guestCpuComparison: "superset",
      swtpmVersion: swtpm?.version,
      ...facts,
    },
    ...rest,
  });
};

/** The results that are not ok, as `name: outcome`. */
export const objectionsOf = (facts: TargetFacts, manifest: SourceManifest): string[] =>
  evaluate(facts, manifest)
    .filter(({ outcome }) => outcome !== "ok")
    .map(({ name, outcome }) => `${name}: ${outcome}`);

export const resultOf = (name: string, facts: TargetFacts, manifest: SourceManifest): CheckResult => {
  const result = evaluate(facts, manifest).find(candidate => candidate.name === name);
  if (result === undefined) throw new Error(`there is no check ${name}`);
  return result;
};

export const messagesOf = (facts: TargetFacts, manifest: SourceManifest): string[] =>
  refusalsOf(evaluate(facts, manifest)).map(({ message }) => message);
