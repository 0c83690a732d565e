/** Who the host is: names and ids that tell it from others, and this boot of it from earlier ones. */

import type { HostDescription } from "../../proto/gen/ferry/v1/host.js";
import type { Trees } from "./roots.js";

export type HostIdentity = Pick<
  HostDescription,
  "hostname" | "machineId" | "bootId" | "kernelRelease" | "architecture"
>;

export async function readIdentity({ proc, etc }: Pick<Trees, "proc" | "etc">): Promise<HostIdentity> {
  const [hostname, machineId, bootId, kernelRelease, architecture] = await Promise.all([
    proc.text("sys/kernel/hostname"),
    etc.value("machine-id", matching(/^[0-9a-f]{32}$/)),
    proc.value("sys/kernel/random/boot_id", matching(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)),
    proc.value("version", parseKernelRelease),
    // Kernels before 6.1 do not have it; libvirt's word stands in then.
    proc.optionalText("sys/kernel/arch"),
  ]);
  return { hostname, machineId, bootId, kernelRelease, architecture };
}

const matching = (form: RegExp) => (text: string) => (form.test(text) ? text : undefined);

const parseKernelRelease = (text: string) => /^Linux version (\S+)/.exec(text)?.[1];
