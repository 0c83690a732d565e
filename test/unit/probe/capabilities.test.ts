/** Recorded documents of libvirt 9.0 with QEMU 7.2, and documents that are none. */

import { describe, expect, it } from "vitest";
import { parseCapabilities } from "../../../agent/probe/capabilities.js";
import { parseDomainCapabilities } from "../../../agent/probe/domain-capabilities.js";
import { readHypervisor } from "../../../agent/probe/hypervisor.js";
import { recordedLibvirt, recording, silentLibvirt } from "./recorded-libvirt.js";

/** How often a pattern occurs in a recording: counting without parsing. */
const occurrences = (name: string, pattern: RegExp) => [...recording(name).matchAll(pattern)].length;

describe("capabilities", () => {
  const capabilities = parseCapabilities(recording("capabilities"));

  it("list the emulators with all their machine types", () => {
    const emulators = capabilities.guests.map(guest => `${guest.architecture} ${guest.emulator}`);
    expect(emulators).toEqual(["i686 /usr/bin/qemu-system-i386", "x86_64 /usr/bin/qemu-system-x86_64"]);
    const machines = capabilities.guests.flatMap(guest => guest.machines);
    expect(machines).toHaveLength(occurrences("capabilities", /<machine /g));
    expect(machines.filter(machine => machine.deprecated)).toHaveLength(
      occurrences("capabilities", /deprecated='yes'/g),
    );
  });

  it("resolve an alias to its versioned machine type", () => {
    const machines = capabilities.guests[1]?.machines;
    expect(machines).toContainEqual({
      name: "q35",
      canonicalName: "pc-q35-7.2",
      vcpusMax: 288,
      deprecated: false,
    });
    expect(machines).toContainEqual({
      name: "pc-i440fx-1.5",
      canonicalName: undefined,
      vcpusMax: 255,
      deprecated: true,
    });
  });

  it("keep the host's CPU as XML and tell the security models", () => {
    expect(capabilities.architecture).toBe("x86_64");
    expect(capabilities.hostCpuXml).toContain("<model>kvm64</model>");
    expect(capabilities.securityModels).toEqual(["none", "dac"]);
  });

  it("give an emulator of one domain type only a row of its own", () => {
    const guest = `<guest><os_type>hvm</os_type><arch name="x86_64"><emulator>/a</emulator><machine>m</machine>
      <domain type="qemu"/><domain type="kvm"><emulator>/b</emulator><machine>n</machine></domain></arch></guest>`;
    const { guests } = parseCapabilities(`<capabilities>${guest}</capabilities>`);
    expect(
      guests.map(({ emulator, domainTypes, machines }) => [emulator, domainTypes, machines[0]?.name]),
    ).toEqual([
      ["/a", ["qemu"], "m"],
      ["/b", ["kvm"], "n"],
    ]);
  });
});

describe("domain capabilities", () => {
  const emulated = parseDomainCapabilities(recording("domain-capabilities-qemu-q35"));
  const accelerated = parseDomainCapabilities(recording("domain-capabilities-kvm-q35"));

  it("name firmware, loaders, TPMs and buses", () => {
    expect(emulated).toMatchObject({
      architecture: "x86_64",
      domainType: "qemu",
      machine: "pc-q35-7.2",
      vcpusMax: 288,
      firmwareSelections: ["efi"],
      tpmModels: ["tpm-tis", "tpm-crb"],
      tpmBackends: ["passthrough", "emulator", "external"],
      tpmVersions: ["1.2", "2.0"],
      diskBuses: ["fdc", "scsi", "virtio", "usb", "sata"],
    });
    expect(emulated.loaderPaths).toContain("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd");
  });

  it("offer host-passthrough only where libvirt supports it", () => {
    expect(emulated.cpu).toMatchObject({ hostPassthrough: false, hostPassthroughMigratable: false });
    expect(accelerated.cpu).toMatchObject({ hostPassthrough: true, hostPassthroughMigratable: true });
  });

  it("write host-model out as a CPU with every feature", () => {
    const xml = emulated.cpu?.hostModelXml ?? "";
    expect(xml).toMatch(/^<cpu mode="custom" match="exact"><model fallback="forbid">EPYC<\/model>/);
    expect([...xml.matchAll(/<feature /g)]).toHaveLength(
      occurrences("domain-capabilities-qemu-q35", /<feature policy/g),
    );
  });

  it("name only those models that run unchanged", () => {
    const usable = emulated.cpu?.usableModels;
    expect(usable).toHaveLength(occurrences("domain-capabilities-qemu-q35", /usable='yes'/g));
    expect(usable).toContain("Nehalem");
    expect(usable).not.toContain("Skylake-Server");
  });

  it("offer no TPM where libvirt says that it is not supported", () => {
    const none = parseDomainCapabilities(
      "<domainCapabilities><devices><tpm supported='no'><enum name='model'><value>tpm-tis</value></enum></tpm></devices></domainCapabilities>",
    );
    expect(none.tpmModels).toEqual([]);
    expect(none.cpu).toBeUndefined();
  });
});

describe("a document that is none", () => {
  const whole = recording("capabilities");
  it.each([
    ["nothing", ""],
    ["cut off", whole.slice(0, whole.length / 2)],
    ["another document", "<domainCapabilities/>"],
    ["no XML", "\u0000\u0001 not xml"],
    ["two roots", "<capabilities/><capabilities/>"],
  ])("is a fault: %s", (_, xml) => {
    expect(() => parseCapabilities(xml)).toThrow(expect.objectContaining({ name: "Fault", code: "corrupt" }));
  });
});

describe("the description of the hypervisor", () => {
  it("asks for each domain type and machine family of the host's architecture", async () => {
    const problems: string[] = [];
    const { description } = await readHypervisor(recordedLibvirt, problem => problems.push(problem));
    expect(description.domains.map(domain => `${domain.domainType} ${domain.machine}`).sort()).toEqual([
      "kvm pc-i440fx-7.2",
      "kvm pc-q35-7.2",
      "qemu pc-i440fx-7.2",
      "qemu pc-q35-7.2",
    ]);
    expect(problems).toEqual([]);
  });

  it("has gaps that are named when libvirt is silent", async () => {
    const problems: string[] = [];
    const { description } = await readHypervisor(silentLibvirt, problem => problems.push(problem));
    expect(description.libvirtVersion).toBeUndefined();
    expect(problems).toEqual([
      "libvirt versions: the daemon does not answer",
      "libvirt capabilities: the daemon does not answer",
    ]);
  });

  it("does not hide a bug behind a problem", async () => {
    const broken = { ...recordedLibvirt, versions: () => Promise.reject(new TypeError("a bug")) };
    await expect(readHypervisor(broken, () => {})).rejects.toThrow("a bug");
  });
});
