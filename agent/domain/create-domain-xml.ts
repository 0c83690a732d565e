/**
 * The domain XML of a new server: a modern machine with virtio devices and nothing that a migration cannot move.
 *
 * The machine type must be versioned (`pc-q35-7.2`, never `q35`), so that the guest sees the same hardware on every
 * host for life. Each disk carries its role as serial, which the guest sees under /dev/disk/by-id.
 */

import { Fault } from "../../proto/fault.js";
import { ferryMetadata, type Incarnation } from "./ferry-metadata.js";
import { escapeXml } from "./xml-document.js";

export interface NewDisk {
  /** Becomes the serial: `root`, `ephemeral0`, `swap`. */
  readonly role: string;
  readonly path: string;
  readonly format: "raw" | "qcow2";
}

export interface NewInterface {
  readonly mac: string;
  readonly connection: { readonly bridge: string } | { readonly network: string };
}

export interface NewDomain {
  readonly name: string;
  readonly uuid: string;
  readonly incarnation: Incarnation;
  readonly vcpus: number;
  readonly ramMib: number;
  readonly arch: string;
  readonly machine: string;
  readonly emulator: string;
  readonly virttype: "kvm" | "qemu";
  /** In order: vda, vdb, … The first is what the guest boots from. */
  readonly disks: readonly NewDisk[];
  readonly interfaces: readonly NewInterface[];
  readonly firmware: "bios" | "efi";
  readonly vtpm: boolean;
  /** File that gets what the guest writes to its first serial port. */
  readonly serialLogPath: string;
  /** Writable (vfat) as a disk, read-only (iso9660) as a CD-ROM. */
  readonly configDrive?: { readonly path: string; readonly writable: boolean };
}

export function createDomainXml(server: NewDomain): string {
  refuseMovingMachineType(server.machine);
  return `<domain type="${server.virttype}">
  <name>${escapeXml(server.name)}</name>
  <uuid>${escapeXml(server.uuid)}</uuid>
  <metadata>${ferryMetadata(server.incarnation)}</metadata>
  <memory unit="MiB">${server.ramMib}</memory>
  <vcpu placement="static">${server.vcpus}</vcpu>
  <os${server.firmware === "efi" ? ' firmware="efi"' : ""}>
    <type arch="${escapeXml(server.arch)}" machine="${escapeXml(server.machine)}">hvm</type>
  </os>
  <features><acpi/>${server.arch === "x86_64" ? "<apic/>" : ""}</features>${cpuXml(server)}
  <clock offset="utc"/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    ${deviceXmls(server).join("\n    ")}
  </devices>
</domain>
`;
}

/** `q35` or `pc` mean another machine after an upgrade of QEMU; only a version pins it. */
function refuseMovingMachineType(machine: string): void {
  if (/-\d+\.\d+/.test(machine)) return;
  throw new Fault("invalid-argument", `machine type ${machine} has no version`, {
    have: machine,
    need: "a versioned machine type",
    fix: "name one such as pc-q35-7.2 (virsh capabilities lists them)",
  });
}

/** Without KVM the emulator's own default model is the only one that is certain to work. */
const cpuXml = ({ virttype }: NewDomain): string =>
  virttype === "kvm" ? '\n  <cpu mode="host-model" check="partial"/>' : "";

function deviceXmls(server: NewDomain): string[] {
  const log = escapeXml(server.serialLogPath);
  return [
    `<emulator>${escapeXml(server.emulator)}</emulator>`,
    ...server.disks.map(diskXml),
    ...configDriveXml(server),
    ...server.interfaces.map(interfaceXml),
    `<serial type="file"><source path="${log}" append="on"/><target port="0"/></serial>`,
    `<console type="file"><source path="${log}" append="on"/><target type="serial" port="0"/></console>`,
    '<channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"/></channel>',
    ...(server.vtpm ? ['<tpm model="tpm-crb"><backend type="emulator" version="2.0"/></tpm>'] : []),
    '<memballoon model="virtio"/>',
    '<rng model="virtio"><backend model="random">/dev/urandom</backend></rng>',
  ];
}

function diskXml({ role, path, format }: NewDisk, index: number): string {
  const boot = index === 0 ? '<boot order="1"/>' : "";
  return [
    '<disk type="file" device="disk">',
    `<driver name="qemu" type="${format}" cache="none" discard="unmap"/>`,
    `<source file="${escapeXml(path)}"/><target dev="${virtioName(index)}" bus="virtio"/>`,
    `<serial>${escapeXml(role)}</serial>${boot}</disk>`,
  ].join("");
}

function configDriveXml({ configDrive, disks, arch }: NewDomain): string[] {
  if (!configDrive) return [];
  const source = `<driver name="qemu" type="raw"/><source file="${escapeXml(configDrive.path)}"/>`;
  const serial = "<serial>config</serial>";
  if (configDrive.writable) {
    const target = `<target dev="${virtioName(disks.length)}" bus="virtio"/>`;
    return [`<disk type="file" device="disk">${source}${target}${serial}</disk>`];
  }
  const target = `<target dev="sda" bus="${arch === "x86_64" ? "sata" : "scsi"}"/>`;
  return [`<disk type="file" device="cdrom">${source}${target}<readonly/>${serial}</disk>`];
}

function interfaceXml({ mac, connection }: NewInterface): string {
  const isBridge = "bridge" in connection;
  const source = isBridge
    ? `<source bridge="${escapeXml(connection.bridge)}"/>`
    : `<source network="${escapeXml(connection.network)}"/>`;
  const address = `<mac address="${escapeXml(mac)}"/>`;
  return `<interface type="${isBridge ? "bridge" : "network"}">${address}${source}<model type="virtio"/></interface>`;
}

const LETTERS = "abcdefghijklmnopqrstuvwxyz";

function virtioName(index: number): string {
  const letter = LETTERS[index];
  if (letter === undefined) throw new Fault("invalid-argument", "more than 26 disks");
  return `vd${letter}`;
}
