/**
 * A libvirt domain's XML as facts: what the rest of the agent asks about a machine, in libvirt's own words.
 *
 * Reading never changes anything and never guesses: an absent element is `undefined`. The XML itself stays the
 * truth; whoever changes a domain edits the elements (`rewrite-for-target.ts`), so nothing that Ferry does not
 * understand is lost.
 */

import { Fault } from "../../proto/fault.js";
import { rememberedByText } from "../remembered-by-text.js";
import { type DomainDisk, readDisk } from "./domain-disk.js";
import { required } from "./required.js";
import { sizeKibOf } from "./size-kib.js";
import { attributeOf, childOf, childrenOf, type Element, parseXml, share, textOf } from "./xml-document.js";

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

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Documents that may be needed again in a moment; a large one holds a megabyte of memory. */
const MOST_DOCUMENTS = 32;

/**
 * Facts of a `<domain>` document, for whoever only reads: others have the same. Fault("invalid-argument") when it is none or
 * lacks what each domain has.
 */
export const readDomain = rememberedByText(MOST_DOCUMENTS, (xml): Domain => {
  const domain = parseDomain(xml);
  share(domain.root);
  return domain;
});

/** The same in a document of the caller's own, who may change and write it. */
export function parseDomain(xml: string): Domain {
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

function positiveInteger(element: Element | undefined, what: string): number {
  const text = required(textOf(element), what);
  const value = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (value <= 0)
    throw new Fault("invalid-argument", `domain XML: ${what} is ${text}, not a positive number`);
  return value;
}
