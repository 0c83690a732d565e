/**
 * The smallest machine that runs: an empty disk of 8 MiB, firmware that finds nothing to boot, 32 MiB of memory. For
 * tests about what may be done with a machine, not about what runs in it.
 */

import { IMAGE_DIR } from "./guest.js";
import type { Host, Lab } from "./lab.js";

export interface BareGuestOptions {
  readonly name: string;
  /** Further devices, as XML. */
  readonly devices?: string;
  /** Further elements of <os>. */
  readonly os?: string;
  /** Further elements of <domain>. */
  readonly elements?: string;
  /** Of the root disk: its declared format, and its file if the test made one. */
  readonly format?: string;
  readonly file?: string;
  /** The file is a block device. */
  readonly type?: "block";
  readonly isOff?: boolean;
}

export const diskXml = (
  file: string,
  device: string,
  format = "raw",
  type: "file" | "block" = "file",
): string =>
  `<disk type="${type}" device="disk"><driver name="qemu" type="${format}"/>
    <source ${type === "file" ? "file" : "dev"}="${file}"/><target dev="${device}" bus="virtio"/></disk>`;

/** Defines it and, unless told otherwise, starts it; its uuid. */
export async function bareGuest(lab: Lab, host: Host, options: BareGuestOptions): Promise<string> {
  const { name, file = `${IMAGE_DIR}/${name}.raw`, isOff = false } = options;
  await lab.output(host, ["sh", "-c", `test -e ${file} || truncate -s 8M ${file}`]);
  const xml = domainXml(await lab.virtType(), file, options);
  await lab.output(host, ["virsh", "-q", "define", "/dev/stdin"], { input: xml });
  if (!isOff) await lab.output(host, ["virsh", "-q", "start", name]);
  return (await lab.output(host, ["virsh", "-q", "domuuid", name])).trim();
}

/** The same, taken over by Ferry. */
export async function bareServer(
  lab: Lab,
  host: Host,
  options: BareGuestOptions,
  ...words: readonly string[]
): Promise<string> {
  const uuid = await bareGuest(lab, host, options);
  await lab.output("ctl", ["ferry", "server", "adopt", options.name, "--host", host, ...words]);
  return uuid;
}

function domainXml(virtType: string, file: string, options: BareGuestOptions): string {
  const { name, devices = "", os = "", elements = "", format = "raw", type } = options;
  return `<domain type="${virtType}" xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0"><name>${name}</name>
    <memory unit="MiB">32</memory><vcpu>1</vcpu>
    <os><type arch="x86_64" machine="q35">hvm</type>${os}</os><features><acpi/></features>
    <devices>${diskXml(file, "vda", format, type)}${devices}</devices>${elements}</domain>`;
}
