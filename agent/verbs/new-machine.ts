/** The machine that new servers get on this host: the newest versioned type of its default emulator. */

import { Fault } from "../../proto/fault.js";
import { attributeOf, childOf, parseXml, textOf } from "../domain/xml-document.js";
import type { World } from "./verb.js";

export interface Machine {
  readonly arch: string;
  readonly machine: string;
  readonly emulator: string;
  readonly virttype: "kvm" | "qemu";
}

/** The chipset per architecture; libvirt answers it with the version that it stands for. */
const CHIPSET: Readonly<Record<string, string>> = { x86_64: "q35", aarch64: "virt" };

export async function newMachine({ hypervisor, config }: World): Promise<Machine> {
  const arch = textOf(
    childOf(parseXml(await hypervisor.capabilities(), "capabilities"), "host", "cpu", "arch"),
  );
  const machine = arch === undefined ? undefined : CHIPSET[arch];
  if (arch === undefined || machine === undefined) {
    throw new Fault(
      "unsupported",
      `servers cannot be created on architecture ${arch ?? "unknown"}; adopt existing ones instead`,
    );
  }
  const virttype = config.virt_type;
  const answer = parseXml(
    await hypervisor.domainCapabilities({ arch, machine, virttype }),
    "domainCapabilities",
  );
  const canonical = textOf(childOf(answer, "machine"));
  const emulator = textOf(childOf(answer, "path"));
  if (canonical === undefined || emulator === undefined) {
    throw new Fault("failed", "libvirt's domain capabilities name no machine or no emulator", {
      have: attributeOf(answer, "type") ?? "an answer without them",
    });
  }
  return { arch, machine: canonical, emulator, virttype };
}
