/** The contract by real libvirt: its test driver, and a libvirtd with real QEMU processes. */

import { describe } from "vitest";
import { LibvirtHypervisor } from "../../agent/os/libvirt-hypervisor.js";
import { canRunPrivateLibvirtd, PrivateLibvirtd, until } from "../native/private-libvirtd.js";
import { hypervisorContract, type Subject } from "./hypervisor-contract.js";

const LIMITS = { controlLimitMs: 10_000, longLimitMs: 40_000, keepAlive: { intervalSeconds: 5, count: 3 } };

async function subjectAt(uri: string, close: () => Promise<void> = async () => {}): Promise<Subject> {
  const hypervisor = await LibvirtHypervisor.open({ uri, ...LIMITS });
  return {
    hypervisor,
    until: condition => until(condition, 10_000),
    close: async () => {
      await hypervisor.close();
      await close();
    },
  };
}

hypervisorContract("libvirt's test driver", {
  isExact: false,
  open: () => subjectAt("test:///default"),
  domainXml: (name, uuid) =>
    `<domain type='test'><name>${name}</name><uuid>${uuid}</uuid><memory>65536</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>`,
});

describe.runIf(canRunPrivateLibvirtd)("with QEMU", () => {
  hypervisorContract("a real libvirtd", {
    open: async () => {
      const daemon = await PrivateLibvirtd.start();
      return subjectAt(daemon.uri, () => daemon.stop());
    },
    domainXml: (name, uuid) =>
      `<domain type='qemu'><name>${name}</name><uuid>${uuid}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator><controller type='usb' model='none'/><memballoon model='none'/></devices></domain>`,
  });
});
