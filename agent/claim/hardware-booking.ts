/**
 * The hardware that one guest has for itself on this host: dedicated CPUs, memory of cells, huge pages, devices. From
 * the placement that was found for it, or, for domains that Ferry did not place, read from the definition.
 */

import type { Placement } from "../../proto/fit/fit-hardware.js";
import type { PciDevice } from "../../proto/gen/ferry/v1/host.js";
import { parseCpuSet } from "../../proto/range-list.js";
import { type Domain, devicesOf } from "../domain/domain-xml.js";
import { type GuestCellXml, guestCells } from "../domain/guest-cells.js";
import { pciAddressOf } from "../domain/pci-address.js";
import { sizeKibOf } from "../domain/size-kib.js";
import { attributeOf, childOf, childrenOf, type Element } from "../domain/xml-document.js";

export interface HardwareBooking {
  /** Dedicated, and threads kept idle beside them. */
  readonly cpus: readonly number[];
  readonly cells: readonly CellBooking[];
  /** Huge pages that may come from any cell. */
  readonly pages: readonly { readonly pageKib: number; readonly memoryKib: number }[];
  /** PCI addresses. */
  readonly devices: readonly string[];
}

export interface CellBooking {
  readonly hostCell: number;
  readonly memoryKib: number;
  /** 0: ordinary pages. */
  readonly pageKib: number;
  /** vCPUs that run on the cell's shared CPUs. */
  readonly sharedVcpus: number;
}

export const bookingOf = ({ cells, bookedCpus, devices }: Placement): HardwareBooking => ({
  cpus: bookedCpus,
  cells: cells.map(({ hostCell, memoryKib, pageKib, floating }) => ({
    hostCell,
    memoryKib,
    pageKib,
    sharedVcpus: floating.length,
  })),
  pages: [],
  devices,
});

export const isEmptyBooking = ({ cpus, cells, pages, devices }: HardwareBooking): boolean =>
  cpus.length + cells.length + pages.length + devices.length === 0;

interface HostWords {
  readonly defaultPageKib: number | undefined;
  readonly pciDevices: readonly PciDevice[];
}

/** Lists that do not read count as nothing here: libvirt would not have kept them. */
export function bookingOfDomain(domain: Domain, { defaultPageKib, pciDevices }: HostWords): HardwareBooking {
  const { root } = domain;
  const tune = childOf(root, "cputune");
  const pins = tune ? childrenOf(tune).filter(({ nodeName }) => PINS.includes(nodeName)) : [];
  const pinned = new Set(pins.filter(pin => pin.nodeName === "vcpupin" && isOneCpu(pin)).map(vcpuOf));
  const cells: CellBooking[] = [];
  const pages: { pageKib: number; memoryKib: number }[] = [];
  for (const cell of guestCells(domain)) {
    const pageKib = pageSizeOf(root, cell, defaultPageKib);
    const hostCell = hostCellOf(root, cell);
    const sharedVcpus = cell.vcpus.filter(vcpu => !pinned.has(vcpu)).length;
    if (hostCell !== undefined) cells.push({ hostCell, memoryKib: cell.memoryKib, pageKib, sharedVcpus });
    else if (pageKib > 0) pages.push({ pageKib, memoryKib: cell.memoryKib });
  }
  return { cpus: cpusOf(pins), cells, pages, devices: devicesOfHost(root, pciDevices) };
}

const PINS: readonly string[] = ["vcpupin", "emulatorpin", "iothreadpin"];

const cpusIn = (element: Element): number[] => parseCpuSet(attributeOf(element, "cpuset") ?? "") ?? [];
const isOneCpu = (pin: Element): boolean => cpusIn(pin).length === 1;
const vcpuOf = (pin: Element): number => Number(attributeOf(pin, "vcpu"));

const cpusOf = (pins: readonly Element[]): number[] =>
  [...new Set(pins.flatMap(cpusIn))].sort((a, b) => a - b);

/** The one host cell that must give the memory of a guest cell. */
function hostCellOf(root: Element, { id }: GuestCellXml): number | undefined {
  const tune = childOf(root, "numatune");
  const own = tune && childrenOf(tune, "memnode").find(node => Number(attributeOf(node, "cellid")) === id);
  const element = own ?? childOf(root, "numatune", "memory");
  if (element === undefined || (attributeOf(element, "mode") ?? "strict") !== "strict") return undefined;
  const named = parseCpuSet(attributeOf(element, "nodeset") ?? "") ?? [];
  return named.length === 1 ? named[0] : undefined;
}

/** `<page nodeset>` names cells of the guest; one without serves the rest. */
function pageSizeOf(root: Element, { id }: GuestCellXml, defaultPageKib = 0): number {
  const element = childOf(root, "memoryBacking", "hugepages");
  if (element === undefined) return 0;
  const pages = childrenOf(element, "page");
  if (pages.length === 0) return defaultPageKib;
  const page =
    pages.find(one => parseCpuSet(attributeOf(one, "nodeset") ?? "")?.includes(id)) ??
    pages.find(one => attributeOf(one, "nodeset") === undefined);
  return (page && sizeKibOf(attributeOf(page, "size"), attributeOf(page, "unit"))) ?? 0;
}

/** Passed through by address, or plugged into by the name of its network port. */
function devicesOfHost(root: Element, pciDevices: readonly PciDevice[]): string[] {
  const passed = [...devicesOf(root, "hostdev"), ...devicesOf(root, "interface")].flatMap(
    device => pciAddressOf(childOf(device, "source", "address")) ?? [],
  );
  const ports = devicesOf(root, "interface")
    .filter(nic => attributeOf(nic, "type") === "direct")
    .map(nic => attributeOf(childOf(nic, "source"), "dev"));
  const behind = pciDevices.filter(device => device.networkInterfaces.some(name => ports.includes(name)));
  return [...passed, ...behind.map(({ address }) => address)];
}
