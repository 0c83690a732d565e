/**
 * A test guest on a lab host: a root disk that is a qcow2 overlay on a base image of that host, an ephemeral disk, a swap
 * disk, and a config drive if it gets knobs. It proves its own data on its console (see test/lab/guest/init), which is a
 * file: `lab.waitForConsole(host, name, /MARKER-OK/)`.
 */

import type { Host, Lab } from "./lab.js";

export interface GuestOptions {
  readonly name: string;
  readonly memoryMib?: number;
  readonly vcpus?: number;
  /** Where its disks lie; the image folder unless said otherwise. */
  readonly folder?: string;
  /** More `<disk>` elements. */
  readonly disksXml?: string;
  /** Words such as `lab.tick=100`; they come on a config drive. */
  readonly knobs?: readonly string[];
  /** QEMU loads its kernel: faster than the firmware reading it from the disk. */
  readonly bootsKernel?: boolean;
}

/** Emulated, on a machine that is busy with other things. */
const BOOT_LIMIT_MS = 120_000;

export const IMAGE_DIR = "/var/lib/libvirt/images";

/** Makes the disks and defines the domain; it does not run yet. */
export async function defineGuest(lab: Lab, host: Host, options: GuestOptions): Promise<void> {
  const [folder, virtType] = [await lab.guestFolder(), await lab.virtType()];
  await lab.output(host, ["sh", "-eu"], { input: disksScript(folder, options) });
  const xml = domainXml(virtType, options, folder);
  await lab.output(host, ["virsh", "-q", "define", "/dev/stdin"], { input: xml });
}

/** Defines and starts it, and waits until it is ready. */
export async function startGuest(lab: Lab, host: Host, options: GuestOptions): Promise<void> {
  await defineGuest(lab, host, options);
  await lab.output(host, ["virsh", "-q", "start", options.name]);
  await lab.waitForConsole(host, options.name, / READY/, BOOT_LIMIT_MS);
}

const diskOf = ({ folder = IMAGE_DIR, name }: GuestOptions): string => `${folder}/${name}`;

const hasConfigDrive = ({ knobs = [] }: GuestOptions) => knobs.length > 0;

function disksScript(folder: string, options: GuestOptions): string {
  const disk = diskOf(options);
  const base = `${options.folder ?? IMAGE_DIR}/lab-base.qcow2`;
  const lines = [
    // Guests that are made at the same time share it: it appears whole, once.
    `test -e ${base} || { cp ${folder}/base.qcow2 ${base}.$$ && { ln -T ${base}.$$ ${base} || :; } && rm ${base}.$$; }`,
    `qemu-img create -q -f qcow2 -b ${base} -F qcow2 ${disk}.qcow2`,
    `truncate -s 32M ${disk}-ephemeral.raw`,
    `mkfs.ext4 -q -L ephemeral0 ${disk}-ephemeral.raw`,
    `truncate -s 16M ${disk}-swap.raw`,
    `chmod 600 ${disk}-swap.raw`,
    `mkswap -q ${disk}-swap.raw 2>/dev/null`,
  ];
  if (hasConfigDrive(options)) {
    lines.push(
      "drive=$(mktemp -d)",
      `echo '${options.knobs?.join(" ")}' >$drive/ferry-lab.conf`,
      `genisoimage -quiet -V config-2 -r -o ${disk}-config.iso $drive`,
      "rm -r $drive",
    );
  }
  return lines.join("\n");
}

function diskXml(device: string, format: string, file: string, isReadOnly = false): string {
  return `<disk type='file' device='disk'>
      <driver name='qemu' type='${format}' cache='writeback' discard='unmap'/>
      <source file='${file}'/><target dev='${device}' bus='virtio'/>${isReadOnly ? "<readonly/>" : ""}
    </disk>`;
}

const KERNEL_WORDS =
  "console=ttyS0 quiet mitigations=off cryptomgr.notests random.trust_cpu=on noreplace-smp no_timer_check lsm=";

function bootXml(folder: string, { bootsKernel = false }: GuestOptions): string {
  if (!bootsKernel) return "<boot dev='hd'/>";
  return `<kernel>${folder}/vmlinuz</kernel><initrd>${folder}/initrd.gz</initrd><cmdline>${KERNEL_WORDS}</cmdline>`;
}

function domainXml(virtType: string, options: GuestOptions, folder: string): string {
  const disk = diskOf(options);
  const disks = [
    options.disksXml ?? "",
    diskXml("vda", "qcow2", `${disk}.qcow2`),
    diskXml("vdb", "raw", `${disk}-ephemeral.raw`),
    diskXml("vdc", "raw", `${disk}-swap.raw`),
    ...(hasConfigDrive(options) ? [diskXml("vdd", "raw", `${disk}-config.iso`, true)] : []),
  ];
  return `<domain type='${virtType}'>
  <name>${options.name}</name>
  <memory unit='MiB'>${options.memoryMib ?? 192}</memory>
  <vcpu>${options.vcpus ?? 1}</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type>${bootXml(folder, options)}</os>
  <features><acpi/><apic/></features>
  <on_poweroff>destroy</on_poweroff>
  <devices>
    ${disks.join("\n    ")}
    <serial type='file'><source path='/var/log/libvirt/qemu/${options.name}-console.log' append='on'/></serial>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>`;
}
