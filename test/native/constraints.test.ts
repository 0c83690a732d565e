/** What real libvirt and swtpm answer to the questions of a check, and what the checks make of the answers. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readDomain } from "../../agent/domain/domain-xml.js";
import { comparableCpu } from "../../agent/domain/guest-cpu.js";
import { LibvirtHypervisor } from "../../agent/os/libvirt-hypervisor.js";
import { runTool } from "../../agent/os/tool.js";
import { parseDomainCapabilities } from "../../agent/probe/domain-capabilities.js";
import { LIVE_ROOTS } from "../../agent/probe/roots.js";
import { readHostFacts } from "../../agent/verbs/host-facts.js";
import { compareGuestCpu, machineSupport } from "../../agent/verbs/machine-support.js";
import type { World } from "../../agent/verbs/verb.js";
import { SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import { canRunPrivateLibvirtd, PrivateLibvirtd } from "./private-libvirtd.js";

const EMULATOR = "/usr/bin/qemu-system-x86_64";
const UUID = "11111111-2222-4333-8444-777777777777";

const guest = (cpu = "") => `<domain type='qemu'><name>web</name><uuid>${UUID}</uuid><memory>65536</memory>
<vcpu>1</vcpu><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>${cpu}
<devices><emulator>${EMULATOR}</emulator></devices></domain>`;

const model = (name: string) => `<cpu mode="custom" match="exact"><model>${name}</model></cpu>`;

describe.runIf(canRunPrivateLibvirtd)("checks on a real libvirtd", () => {
  let daemon: PrivateLibvirtd;
  let hypervisor: LibvirtHypervisor;
  let world: World;
  beforeAll(async () => {
    daemon = await PrivateLibvirtd.start();
    hypervisor = await LibvirtHypervisor.open({
      uri: daemon.uri,
      controlLimitMs: 5_000,
      longLimitMs: 40_000,
      keepAlive: { intervalSeconds: 5, count: 3 },
    });
    world = { hypervisor, capabilities: hypervisor, roots: LIVE_ROOTS, runTool } as unknown as World;
  });
  afterAll(async () => {
    await hypervisor.close();
    await daemon.stop();
  });

  const manifest = (guestCpuXml: string | undefined, machine = "pc-q35-7.2") =>
    SourceManifest.fromPartial({
      emulator: EMULATOR,
      machine,
      arch: "x86_64",
      virtType: "qemu",
      facts: { guestCpuXml },
    });

  it("can give an emulated guest a plain model, and not one with features that QEMU lacks", async () => {
    expect(await compareGuestCpu(manifest(model("qemu64")), world)).toMatch(/superset|identical/);
    expect(await compareGuestCpu(manifest(model("Nehalem")), world)).toMatch(/superset|identical/);
    expect(await compareGuestCpu(manifest(model("Skylake-Server")), world)).toBe("incompatible");
    expect(await compareGuestCpu(manifest(model("No-Such-CPU")), world)).toBeUndefined();
  });

  it("calls its own host-model no less than itself", async () => {
    const query = { emulator: EMULATOR, arch: "x86_64", machine: "pc-q35-7.2", virttype: "qemu" };
    const { cpu } = parseDomainCapabilities(await hypervisor.domainCapabilities(query));
    expect(await compareGuestCpu(manifest(cpu?.hostModelXml), world)).toMatch(/superset|identical/);
  });

  it("would call any host a superset of a CPU without a model, which is why none is asked about", async () => {
    const query = { emulator: EMULATOR, arch: "x86_64", machine: "pc-q35-7.2", virttype: "qemu" };
    for (const nameless of ['<cpu mode="host-passthrough"/>', '<cpu mode="host-model"/>']) {
      expect(await hypervisor.compareHypervisorCpu(query, nameless)).toBe("superset");
      expect(await compareGuestCpu(manifest(nameless), world)).toBeUndefined();
    }
  });

  it("names the model of a guest whose definition had none, in what it stores", async () => {
    const stored = await hypervisor.define(guest());
    await hypervisor.undefine(UUID);
    expect(comparableCpu(readDomain(stored).cpu)).toContain("qemu64");
  });

  it("says what a machine can have, or that it does not know the machine", async () => {
    const { support, machineProblem } = await machineSupport(manifest(undefined), true, world);
    expect(machineProblem).toBe("");
    expect(support).toMatchObject({ vcpusMax: 288, firmwareSelections: ["efi"], launchSecurities: [] });
    expect(support?.memorySources).toEqual(expect.arrayContaining(["file", "memfd"]));
    expect(support?.tpmBackends).toContain("emulator");
    const unheard = await machineSupport(manifest(undefined, "pc-q35-99.0"), true, world);
    expect(unheard.machineProblem).toMatch(/pc-q35-99\.0|machine/);
  });

  it("reads what the host is, with its swtpm and the sizes of its firmware", async () => {
    const problems: string[] = [];
    const questions = { loaderPath: undefined, withTpm: true };
    const host = await readHostFacts(questions, problem => problems.push(problem), world);
    expect(host.swtpm?.features).toContain("tpm-2.0");
    expect(host.swtpm?.version).toMatch(/^\d+\.\d+/);
    expect(host.cpu.flags.length).toBeGreaterThan(10);
    expect(host.firmware.length).toBeGreaterThan(0);
    expect(host.firmwareBytes.get(host.firmware[0]?.nvramTemplatePath ?? "")).toBeGreaterThan(0);
  });
});
