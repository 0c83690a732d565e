/**
 * The sizes of a domain, changed in its XML: vCPUs and their topology, memory, disks that come and go.
 *
 * Everything else stays as it is. What depends on the sizes in a way that nobody has told us (NUMA cells, pins, memory
 * devices and limits) is a reason to refuse, never guessed.
 */

import { Fault } from "../../proto/fault.js";
import { devicesOf } from "./domain-xml.js";
import {
  attributeOf,
  childOf,
  childrenOf,
  type Element,
  escapeXml,
  parseXml,
  removeElement,
} from "./xml-document.js";

export interface AddedDomainDisk {
  readonly targetDev: string;
  readonly path: string;
  /** Becomes the serial: `ephemeral0`, `swap`. */
  readonly serial: string;
}

export interface DomainSizes {
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly addedDisks: readonly AddedDomainDisk[];
  /** Target devices. */
  readonly droppedDisks: readonly string[];
}

const KIB_PER_MIB = 1024;

export function resizeDomain(root: Element, before: SizesBefore, sizes: DomainSizes): void {
  if (sizes.vcpus !== before.vcpus) setVcpus(root, sizes.vcpus);
  if (sizes.memoryMib * KIB_PER_MIB !== before.memoryKib) setMemory(root, sizes.memoryMib);
  for (const disk of devicesOf(root, "disk")) {
    const device = attributeOf(childOf(disk, "target"), "dev") ?? "";
    if (sizes.droppedDisks.includes(device)) removeElement(disk);
  }
  for (const disk of sizes.addedDisks) addDisk(root, disk);
}

export interface SizesBefore {
  readonly vcpus: number;
  readonly memoryKib: number;
}

interface Obstacle {
  readonly message: string;
  readonly fix: string;
}

/** What stands in the way of other sizes; empty when nothing does. */
export function whyNotResizable(
  root: Element,
  before: SizesBefore,
  sizes: Pick<DomainSizes, "vcpus" | "memoryMib"> & {
    /** A flavor says, or said, what cells and pins are to be: they are made anew. */
    readonly hardwareIsTold: boolean;
  },
): Obstacle[] {
  const memoryChanges = sizes.memoryMib * KIB_PER_MIB !== before.memoryKib;
  const vcpusChange = sizes.vcpus !== before.vcpus;
  const fix = (what: string) => `remove ${what} from the definition, or choose a flavor that keeps it true`;
  const obstacles: (Obstacle | false)[] = [
    (memoryChanges || vcpusChange) &&
      !sizes.hardwareIsTold &&
      has(root, "cpu", "numa") && {
        message: "the domain divides its vCPUs and memory among NUMA cells",
        fix: fix("<numa>"),
      },
    vcpusChange &&
      !sizes.hardwareIsTold &&
      has(root, "cputune", "vcpupin") && { message: "the domain pins its vCPUs", fix: fix("<vcpupin>") },
    memoryChanges &&
      has(root, "maxMemory") && {
        message: "the domain has a maximum for plugged memory",
        fix: fix("<maxMemory>"),
      },
    memoryChanges &&
      devicesOf(root, "memory").length > 0 && {
        message: "the domain has memory devices",
        fix: fix("<memory model=…>"),
      },
    memoryChanges &&
      has(root, "memtune", "hard_limit") && {
        message: "the domain limits its memory on the host",
        fix: fix("<hard_limit>"),
      },
  ];
  return obstacles.filter(obstacle => obstacle !== false);
}

const has = (root: Element, ...path: readonly string[]): boolean => childOf(root, ...path) !== undefined;

/** All of them plugged in: which ones were not is a matter of the old number. */
function setVcpus(root: Element, vcpus: number): void {
  const element = childOf(root, "vcpu");
  if (element === undefined) throw new Fault("invalid-argument", "domain XML: no vcpu");
  element.textContent = String(vcpus);
  element.removeAttribute("current");
  const one = childOf(root, "vcpus");
  if (one !== undefined) removeElement(one);
  const topology = childOf(root, "cpu", "topology");
  if (topology !== undefined) setTopology(topology, vcpus);
}

/** More or fewer sockets of the same kind; where that does not come out even, sockets of one thread. */
function setTopology(topology: Element, vcpus: number): void {
  const within = ["dies", "clusters", "cores", "threads"].filter(name => topology.hasAttribute(name));
  const perSocket = within.reduce((product, name) => product * Number(attributeOf(topology, name)), 1);
  if (vcpus % perSocket === 0) {
    topology.setAttribute("sockets", String(vcpus / perSocket));
    return;
  }
  topology.setAttribute("sockets", String(vcpus));
  for (const name of within) topology.setAttribute(name, "1");
}

function setMemory(root: Element, memoryMib: number): void {
  for (const element of [...childrenOf(root, "memory"), ...childrenOf(root, "currentMemory")]) {
    element.setAttribute("unit", "KiB");
    element.textContent = String(memoryMib * KIB_PER_MIB);
  }
}

/** Beside the other disks, on the bus and with the cache mode of the first one; libvirt gives it an address. */
function addDisk(root: Element, { targetDev, path, serial }: AddedDomainDisk): void {
  const devices = childOf(root, "devices");
  const disks = devicesOf(root, "disk");
  const [first] = disks;
  if (devices === undefined || first === undefined)
    throw new Fault("invalid-argument", "domain XML: no disks");
  const bus = attributeOf(childOf(first, "target"), "bus") ?? "virtio";
  const cache = attributeOf(childOf(first, "driver"), "cache");
  const driver = `<driver name="qemu" type="raw"${cache === undefined ? "" : ` cache="${escapeXml(cache)}"`}/>`;
  const disk = parseXml(
    `<disk type="file" device="disk">${driver}<source file="${escapeXml(path)}"/>` +
      `<target dev="${escapeXml(targetDev)}" bus="${escapeXml(bus)}"/><serial>${escapeXml(serial)}</serial></disk>`,
    "disk",
  );
  const imported = root.ownerDocument?.importNode(disk, true);
  if (imported === undefined) throw new TypeError("an element belongs to a document");
  devices.insertBefore(imported, disks.at(-1)?.nextSibling ?? null);
}

/** Names for disks that come, beside those that stay: `vdd`, or what the bus of the first disk calls it. */
export function freeTargetDevs(root: Element, count: number): string[] {
  const taken = devicesOf(root, "disk").map(disk => attributeOf(childOf(disk, "target"), "dev") ?? "");
  const prefix = /^[a-z]+(?=[a-z]$)/.exec(taken[0] ?? "")?.[0] ?? "vd";
  const names = [..."abcdefghijklmnopqrstuvwxyz"].map(letter => `${prefix}${letter}`);
  const free = names.filter(name => !taken.includes(name)).slice(0, count);
  if (free.length === count) return free;
  throw new Fault("refused", "the domain has no name left for one more disk", { have: taken.join(", ") });
}
