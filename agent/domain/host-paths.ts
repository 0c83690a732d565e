/**
 * Every place in a domain's XML that names something of the host: files, devices, sockets, programs, addresses.
 *
 * The caller maps or refuses each of them. The promise is completeness, not knowledge: a place that the table does
 * not know and whose value looks like a path is listed as `unknown`, and `unknown` is always refused. Text that
 * belongs to the guest or to people (name, description, metadata, kernel command line, SMBIOS strings) is not looked at.
 */

import { attributeOf, attributesOf, childOf, childrenOf, type Element, isElement } from "./xml-document.js";

export type HostPathClass =
  | "disk"
  | "nvram"
  | "kernel"
  | "loader"
  | "serial-file"
  | "socket"
  | "share"
  | "device"
  | "emulator"
  | "listen"
  | "unknown";

export interface HostPath {
  readonly class: HostPathClass;
  /** The path, or for `listen` the address, `*` for all of them. */
  readonly path: string;
  /** Where it stands, for people: `devices/disk[vda]/source@file`. */
  readonly place: string;
  /** The element and, unless it is the element's text, the attribute that holds the path. */
  readonly element: Element;
  readonly attribute: string | undefined;
}

/** Place (without what is in brackets) → class. Text of an element has no `@`. */
const CLASS_OF_PLACE: Readonly<Record<string, HostPathClass>> = {
  "os/kernel": "kernel",
  "os/initrd": "kernel",
  "os/dtb": "kernel",
  "os/acpi/table": "kernel",
  "os/loader": "loader",
  "os/nvram@template": "loader",
  "os/nvram": "nvram",
  "os/nvram/source@file": "nvram",
  "os/nvram/source@dev": "nvram",
  "devices/emulator": "emulator",
  "devices/disk/source@file": "disk",
  "devices/disk/source@dev": "disk",
  "devices/disk/source@dir": "share",
  "devices/disk/source@path": "socket",
  "devices/disk/source/host@socket": "socket",
  "devices/disk/source/config@file": "unknown",
  "devices/disk/source/reservations/source@path": "socket",
  "devices/disk/mirror@file": "disk",
  "devices/disk/mirror/source@file": "disk",
  "devices/disk/mirror/source@dev": "disk",
  "devices/filesystem/source@dir": "share",
  "devices/filesystem/source@file": "share",
  "devices/filesystem/source@dev": "share",
  "devices/filesystem/source@socket": "socket",
  "devices/interface/source@path": "socket",
  "devices/interface/script@path": "unknown",
  "devices/interface/downscript@path": "unknown",
  "devices/interface/backend@tap": "device",
  "devices/interface/backend@vhost": "device",
  "devices/interface/backend@logFile": "serial-file",
  "devices/hostdev/source@dev": "device",
  "devices/hostdev/source/block": "device",
  "devices/hostdev/source/char": "device",
  "devices/rng/backend": "device",
  "devices/rng/backend/source@path": "socket",
  "devices/tpm/backend/device@path": "device",
  "devices/tpm/backend/source@path": "socket",
  "devices/input/source@evdev": "device",
  "devices/input/source@dev": "device",
  "devices/memory/source/path": "device",
  "devices/memory/path": "device",
  "devices/graphics@socket": "socket",
  "devices/graphics@powerControl": "unknown",
  "devices/graphics/listen@socket": "socket",
  "devices/graphics/gl@rendernode": "device",
  "devices/video/model/acceleration@rendernode": "device",
  "devices/video/driver@rendernode": "device",
  "devices/audio@dev": "device",
  "devices/audio/input@dev": "device",
  "devices/audio/output@dev": "device",
  "devices/audio/input@path": "serial-file",
  "devices/audio@path": "serial-file",
  "devices/shmem/server@path": "socket",
  "devices/crypto/backend@path": "socket",
  "blkiotune/device/path": "device",
};

/** Devices that end in a character device of the host, and so have the same children. */
const CHARACTER_DEVICES =
  /^devices\/(serial|console|parallel|channel|smartcard|redirdev|interface|rng\/backend)\b/;

/** Whose text is the guest's or a person's, never the host's. */
const NOT_OF_THE_HOST: readonly string[] = [
  "name",
  "title",
  "description",
  "metadata",
  "os/cmdline",
  "sysinfo/bios",
  "sysinfo/system",
  "sysinfo/baseBoard",
  "sysinfo/chassis",
  "sysinfo/oemStrings",
  "devices/disk/serial",
  "devices/disk/vendor",
  "devices/disk/product",
  "devices/filesystem/target",
];

/** An absolute path, also one behind `key=`, `scheme:` or a comma as in a QEMU option. */
const LOOKS_LIKE_PATH = /(^|[=:,])\//;

/** All host paths and listen addresses, in document order. */
export function hostPaths(domain: Element): HostPath[] {
  const found: HostPath[] = [];
  collect(domain, "", "", found);
  return found;
}

function collect(element: Element, place: string, label: string, found: HostPath[]): void {
  if (NOT_OF_THE_HOST.includes(place)) return;
  for (const { name, value } of attributesOf(element)) {
    if (name !== "xmlns" && !name.startsWith("xmlns:")) {
      note(found, { element, attribute: name, place: `${place}@${name}`, label: `${label}@${name}`, value });
    }
  }
  const children = childrenOf(element);
  const ownText = directText(element);
  if (ownText) note(found, { element, attribute: undefined, place, label, value: ownText });
  noteListenAddress(element, place, label, found);
  for (const child of children) {
    const [name, tag] = [child.nodeName, tagOf(child)];
    collect(child, join(place, name), join(label, tag ? `${name}[${tag}]` : name), found);
  }
}

interface Candidate {
  readonly element: Element;
  readonly attribute: string | undefined;
  readonly place: string;
  readonly label: string;
  readonly value: string;
}

function note(found: HostPath[], candidate: Candidate): void {
  const kind = classOf(candidate);
  if (kind === undefined) return;
  const { element, attribute, label, value } = candidate;
  found.push({ class: kind, path: value, place: label, element, attribute });
}

function classOf({ element, place, value }: Candidate): HostPathClass | undefined {
  if (value === "") return undefined;
  const known = CLASS_OF_PLACE[normalisePlace(place)];
  if (known === "device" && place === "devices/rng/backend" && !value.startsWith("/")) return undefined;
  if (known !== undefined) return known;
  const character = classOfCharacterDevice(element, place);
  if (character !== undefined) return character;
  return LOOKS_LIKE_PATH.test(value) && !isOnlyALabel(place) ? "unknown" : undefined;
}

/** Backing files stand at any depth, each like the disk's own source. */
const normalisePlace = (place: string): string =>
  place.replace(
    /^(devices\/disk)((\/backingStore)+|\/mirror\/backingStore.*?(?=\/source))(?=\/source)/,
    "$1",
  );

/** A cgroup name and security labels begin with a slash or hold one, but name no file. */
const isOnlyALabel = (place: string): boolean =>
  place === "resource/partition" || place.startsWith("seclabel/");

function classOfCharacterDevice(element: Element, place: string): HostPathClass | undefined {
  if (!CHARACTER_DEVICES.test(place)) return undefined;
  if (place.endsWith("/log@file")) return "serial-file";
  if (place.endsWith("@tty")) return "device";
  if (!place.endsWith("/source@path")) return undefined;
  const device = element.parentNode;
  const type = device && isElement(device) ? attributeOf(device, "type") : undefined;
  if (type === "file" || type === "pipe") return "serial-file";
  if (type === "unix") return "socket";
  return type === "pty" || type === "dev" ? "device" : "unknown";
}

/** What `listen` has for its path where no address is given. */
const EVERY_ADDRESS = "*";

/** Attributes that hold an address on which QEMU listens or to which it connects. */
const ADDRESS_OF_PLACE: Readonly<Record<string, string>> = {
  "devices/graphics": "listen",
  "devices/graphics/listen": "address",
  "devices/interface/source": "address",
  "devices/interface/source/local": "address",
  "devices/interface/portForward": "address",
};

function noteListenAddress(element: Element, place: string, label: string, found: HostPath[]): void {
  const isCharacter = CHARACTER_DEVICES.test(place) && place.endsWith("/source");
  const attribute = ADDRESS_OF_PLACE[place] ?? (isCharacter ? "host" : undefined);
  if (attribute === undefined) return;
  const address = attributeOf(element, attribute);
  if (address === undefined && !element.hasAttribute("service")) return;
  const path = address ?? EVERY_ADDRESS;
  found.push({ class: "listen", path, place: `${label}@${attribute}`, element, attribute });
}

const directText = (element: Element): string =>
  Array.from(element.childNodes)
    .filter(node => node.nodeType === node.TEXT_NODE || node.nodeType === node.CDATA_SECTION_NODE)
    .map(node => node.nodeValue ?? "")
    .join("")
    .trim();

/** What tells two devices of a kind apart. */
function tagOf(element: Element): string | undefined {
  return (
    attributeOf(childOf(element, "target"), "dev") ??
    attributeOf(childOf(element, "target"), "name") ??
    attributeOf(childOf(element, "mac"), "address") ??
    attributeOf(childOf(element, "alias"), "name")
  );
}

const join = (place: string, name: string): string => (place === "" ? name : `${place}/${name}`);
