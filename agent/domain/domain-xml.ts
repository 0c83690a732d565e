/**
 * A libvirt domain's XML as facts: what the rest of the agent asks about a machine, in libvirt's own words.
 *
 * Reading never changes anything and never guesses: an absent element is `undefined`. The XML itself stays the
 * truth; whoever changes a domain edits the elements (`rewrite-for-target.ts`), so nothing that Ferry does not
 * understand is lost.
 */

import { Fault } from "../../proto/fault.js";
import { attributeOf, childOf, childrenOf, type Element, parseXml, textOf } from "./xml-document.js";

export interface BackingLayer {
  readonly type: string;
  readonly path: string | undefined;
  readonly format: string | undefined;
}

/** `<source protocol='nbd' name='export'><host name='store' port='10809'/></source>` */
export interface NetworkSource {
  readonly protocol: string;
  /** Export, image or IQN/LUN; empty when there is none. */
  readonly name: string;
  readonly hosts: readonly {
    readonly name: string;
    readonly port: number | undefined;
    readonly transport: string;
  }[];
  readonly usesTls: boolean;
  /** `<auth>`: a user whose secret libvirt keeps. */
  readonly hasSecret: boolean;
}

export interface DomainDisk {
  /** `disk`, `cdrom`, `floppy` or `lun`. */
  readonly device: string;
  /** `file`, `block`, `network`, `volume`, `dir`, `nvme`, `vhostuser`, … */
  readonly type: string;
  readonly targetDev: string;
  readonly bus: string | undefined;
  /** Path of the source; undefined for an empty drive and for sources that are not paths. */
  readonly sourcePath: string | undefined;
  /** Of a disk of type `network`. */
  readonly network: NetworkSource | undefined;
  /** False for an empty drive. */
  readonly hasSource: boolean;
  /** The declared image format; undefined when the XML leaves it to be probed. */
  readonly format: string | undefined;
  readonly cache: string | undefined;
  readonly readonly: boolean;
  readonly shareable: boolean;
  readonly transient: boolean;
  readonly encrypted: boolean;
  readonly serial: string | undefined;
  readonly alias: string | undefined;
  readonly bootOrder: number | undefined;
  /** Layers below the active one, nearest first; libvirt tells them for a running guest only. */
  readonly backingStore: readonly BackingLayer[];
  /** A running block job's other side (`<mirror>`). */
  readonly hasMirror: boolean;
  readonly element: Element;
}

export interface DomainInterface {
  readonly type: string;
  readonly mac: string | undefined;
  readonly network: string | undefined;
  readonly bridge: string | undefined;
  readonly model: string | undefined;
  readonly alias: string | undefined;
  readonly element: Element;
}

export interface DomainFirmware {
  /** libvirt chooses loader and NVRAM at start (`<os firmware='efi'>`): their paths are in the live XML only. */
  readonly automatic: "bios" | "efi" | undefined;
  readonly loaderPath: string | undefined;
  readonly nvramPath: string | undefined;
  readonly nvramTemplate: string | undefined;
}

export interface Domain {
  readonly root: Element;
  readonly uuid: string;
  readonly name: string;
  /** `kvm`, `qemu`, … */
  readonly virttype: string;
  readonly memoryKib: number;
  /** The maximum; `currentVcpus` is what is plugged in. */
  readonly vcpus: number;
  readonly currentVcpus: number;
  readonly arch: string | undefined;
  readonly machine: string | undefined;
  readonly emulator: string | undefined;
  readonly firmware: DomainFirmware;
  readonly kernelPath: string | undefined;
  readonly initrdPath: string | undefined;
  readonly dtbPath: string | undefined;
  /** Backend type of the TPM: `emulator` keeps its state in a directory named after the uuid. */
  readonly tpmBackend: string | undefined;
  readonly disks: readonly DomainDisk[];
  readonly interfaces: readonly DomainInterface[];
  /** Files that serial ports, consoles and channels write to, logs included. */
  readonly characterFiles: readonly string[];
  /** Names of `<channel type='unix'>` targets, such as `org.qemu.guest_agent.0`. */
  readonly channels: readonly string[];
  readonly filesystems: readonly Element[];
  readonly hostdevs: readonly Element[];
  readonly cpu: Element | undefined;
  readonly metadata: Element | undefined;
}

const KIB_PER_UNIT: Readonly<Record<string, number>> = {
  b: 1 / 1024,
  bytes: 1 / 1024,
  KB: 1000 / 1024,
  k: 1,
  KiB: 1,
  MB: 1e6 / 1024,
  M: 1024,
  MiB: 1024,
  GB: 1e9 / 1024,
  G: 1024 ** 2,
  GiB: 1024 ** 2,
  TB: 1e12 / 1024,
  T: 1024 ** 3,
  TiB: 1024 ** 3,
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Facts of a `<domain>` document. Fault("invalid-argument") when it is none or lacks what each domain has. */
export function readDomain(xml: string): Domain {
  const root = parseXml(xml, "domain");
  const vcpus = positiveInteger(childOf(root, "vcpu"), "vcpu");
  const osType = childOf(root, "os", "type");
  return {
    root,
    uuid: readUuid(root),
    name: required(textOf(childOf(root, "name")), "name"),
    virttype: required(attributeOf(root, "type"), "type attribute"),
    memoryKib: readMemoryKib(root),
    vcpus,
    currentVcpus: Number(attributeOf(childOf(root, "vcpu"), "current") ?? vcpus),
    arch: attributeOf(osType, "arch"),
    machine: attributeOf(osType, "machine"),
    emulator: textOf(childOf(root, "devices", "emulator")),
    firmware: readFirmware(root),
    kernelPath: textOf(childOf(root, "os", "kernel")),
    initrdPath: textOf(childOf(root, "os", "initrd")),
    dtbPath: textOf(childOf(root, "os", "dtb")),
    tpmBackend: attributeOf(childOf(root, "devices", "tpm", "backend"), "type"),
    disks: devicesOf(root, "disk").map(readDisk),
    interfaces: devicesOf(root, "interface").map(readInterface),
    characterFiles: readCharacterFiles(root),
    channels: readChannels(root),
    filesystems: devicesOf(root, "filesystem"),
    hostdevs: devicesOf(root, "hostdev"),
    cpu: childOf(root, "cpu"),
    metadata: childOf(root, "metadata"),
  };
}

export const devicesOf = (root: Element, name?: string): Element[] => {
  const devices = childOf(root, "devices");
  return devices ? childrenOf(devices, name) : [];
};

/**
 * Where the NVRAM of a domain is: named in its XML, or libvirt's default place when libvirt chooses the firmware.
 * Undefined for a domain without NVRAM.
 */
export function nvramPathOf(domain: Domain, nvramDirectory: string): string | undefined {
  const { automatic, nvramPath } = domain.firmware;
  if (nvramPath !== undefined) return nvramPath;
  return automatic === "efi" ? `${nvramDirectory}/${domain.name}_VARS.fd` : undefined;
}

function readUuid(root: Element): string {
  const uuid = required(textOf(childOf(root, "uuid")), "uuid").toLowerCase();
  if (!UUID.test(uuid)) throw new Fault("invalid-argument", `domain XML: ${uuid} is not a uuid`);
  return uuid;
}

function readMemoryKib(root: Element): number {
  const memory = childOf(root, "memory");
  const unit = attributeOf(memory, "unit");
  const sizeKib = sizeKibOf(String(positiveInteger(memory, "memory")), unit);
  if (sizeKib === undefined) throw new Fault("invalid-argument", `domain XML: unknown memory unit ${unit}`);
  return sizeKib;
}

/** A size with libvirt's units, rounded up; undefined when it does not read. */
export function sizeKibOf(size: string | undefined, unit = "KiB"): number | undefined {
  const scale = Object.hasOwn(KIB_PER_UNIT, unit) ? KIB_PER_UNIT[unit] : undefined;
  if (scale === undefined || size === undefined || !/^\d{1,15}$/.test(size)) return undefined;
  return Math.ceil(Number(size) * scale);
}

function readFirmware(root: Element): DomainFirmware {
  const automatic = attributeOf(childOf(root, "os"), "firmware");
  const nvram = childOf(root, "os", "nvram");
  return {
    automatic: automatic === "efi" || automatic === "bios" ? automatic : undefined,
    loaderPath: textOf(childOf(root, "os", "loader")),
    // Newer libvirt writes <nvram><source file=…/></nvram>.
    nvramPath: attributeOf(nvram && childOf(nvram, "source"), "file") ?? textOf(nvram),
    nvramTemplate: attributeOf(nvram, "template"),
  };
}

function readDisk(element: Element): DomainDisk {
  const target = childOf(element, "target");
  const source = childOf(element, "source");
  const driver = childOf(element, "driver");
  const bootOrder = attributeOf(childOf(element, "boot"), "order");
  return {
    device: attributeOf(element, "device") ?? "disk",
    type: attributeOf(element, "type") ?? "file",
    targetDev: required(attributeOf(target, "dev"), "disk target"),
    bus: attributeOf(target, "bus"),
    sourcePath: sourcePathOf(source),
    network: networkOf(element, source),
    hasSource: source !== undefined && source.attributes.length > 0,
    format: attributeOf(driver, "type"),
    cache: attributeOf(driver, "cache"),
    readonly: childOf(element, "readonly") !== undefined,
    shareable: childOf(element, "shareable") !== undefined,
    transient: childOf(element, "transient") !== undefined,
    encrypted: isEncrypted(element),
    serial: textOf(childOf(element, "serial")),
    alias: attributeOf(childOf(element, "alias"), "name"),
    bootOrder: bootOrder === undefined ? undefined : Number(bootOrder),
    backingStore: readBackingStore(element),
    hasMirror: childOf(element, "mirror") !== undefined,
    element,
  };
}

function networkOf(disk: Element, source: Element | undefined): NetworkSource | undefined {
  const protocol = attributeOf(source, "protocol");
  if (source === undefined || protocol === undefined) return undefined;
  return {
    protocol,
    name: attributeOf(source, "name") ?? "",
    hosts: childrenOf(source, "host").map(host => {
      const port = Number(attributeOf(host, "port") ?? Number.NaN);
      return {
        name: attributeOf(host, "name") ?? "",
        port: Number.isInteger(port) ? port : undefined,
        transport: attributeOf(host, "transport") ?? "tcp",
      };
    }),
    usesTls: attributeOf(source, "tls") === "yes",
    hasSecret: (childOf(disk, "auth") ?? childOf(source, "auth")) !== undefined,
  };
}

const isEncrypted = (disk: Element): boolean =>
  (childOf(disk, "encryption") ?? childOf(disk, "source", "encryption")) !== undefined;

const sourcePathOf = (source: Element | undefined): string | undefined =>
  attributeOf(source, "file") ?? attributeOf(source, "dev") ?? attributeOf(source, "dir");

function readBackingStore(disk: Element): BackingLayer[] {
  const layers: BackingLayer[] = [];
  for (let store = childOf(disk, "backingStore"); store; store = childOf(store, "backingStore")) {
    const type = attributeOf(store, "type");
    if (type === undefined) break; // An empty <backingStore/> ends the chain.
    layers.push({
      type,
      path: sourcePathOf(childOf(store, "source")),
      format: attributeOf(childOf(store, "format"), "type"),
    });
  }
  return layers;
}

function readInterface(element: Element): DomainInterface {
  const source = childOf(element, "source");
  return {
    type: required(attributeOf(element, "type"), "interface type"),
    mac: attributeOf(childOf(element, "mac"), "address")?.toLowerCase(),
    network: attributeOf(source, "network"),
    bridge: attributeOf(source, "bridge"),
    model: attributeOf(childOf(element, "model"), "type"),
    alias: attributeOf(childOf(element, "alias"), "name"),
    element,
  };
}

const CHARACTER_DEVICES: readonly string[] = ["serial", "console", "parallel", "channel"];

function readCharacterFiles(root: Element): string[] {
  const found = CHARACTER_DEVICES.flatMap(name => devicesOf(root, name)).flatMap(device => [
    attributeOf(device, "type") === "file" ? attributeOf(childOf(device, "source"), "path") : undefined,
    attributeOf(childOf(device, "log"), "file"),
  ]);
  return [...new Set(found.filter(path => path !== undefined))];
}

const readChannels = (root: Element): string[] =>
  devicesOf(root, "channel")
    .filter(channel => attributeOf(channel, "type") === "unix")
    .flatMap(channel => attributeOf(childOf(channel, "target"), "name") ?? []);

function required(value: string | undefined, what: string): string {
  if (value === undefined) throw new Fault("invalid-argument", `domain XML: no ${what}`);
  return value;
}

function positiveInteger(element: Element | undefined, what: string): number {
  const text = required(textOf(element), what);
  const value = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (value <= 0)
    throw new Fault("invalid-argument", `domain XML: ${what} is ${text}, not a positive number`);
  return value;
}
