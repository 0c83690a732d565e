/**
 * A placement written into a definition: pins, cells of the host, huge pages, device addresses. Nothing of another host
 * is left over, and of what the guest sees nothing changes unless it is resized.
 */

import type { PlacedCell, Placement } from "../../proto/fit/fit-hardware.js";
import { formatRangeList } from "../../proto/range-list.js";
import {
  type AssignedElement,
  assignedElements,
  type GivenDevice,
  giveDevice,
  hostdevXml,
} from "./assigned-devices.js";
import { attributeOf, childOf, childrenOf, type Element, parseXml, removeElement } from "./xml-document.js";

export interface HardwareToWrite {
  readonly placement: Placement;
  /** A new or resized machine: the guest's cells and devices are written too; otherwise they stay as they are. */
  readonly isReshaped: boolean;
  /** vCPUs of each guest cell, when it is reshaped. */
  readonly guestCells: readonly { readonly vcpus: readonly number[]; readonly memoryKib: number }[];
  /** Where a guest without cells runs; undefined: its definition stays as it is; empty: anywhere. */
  readonly floatingCpus: readonly number[] | undefined;
  /** In the order of the placement's devices. */
  readonly devices: readonly GivenDevice[];
}

export function writeHardware(root: Element, hardware: HardwareToWrite): void {
  const { placement, isReshaped, guestCells, floatingCpus } = hardware;
  const hasCells = placement.cells.length > 0;
  if (isReshaped) writeGuestCells(root, guestCells);
  if (hasCells || isReshaped) {
    writePins(root, placement);
    writeHostCells(root, placement.cells);
    writePages(root, placement.cells);
  }
  writeFloating(root, hasCells ? [] : floatingCpus);
  writeDevices(root, hardware);
}

/** A guest with one cell needs none written: everything is in it. */
function writeGuestCells(root: Element, cells: HardwareToWrite["guestCells"]): void {
  const old = childOf(root, "cpu", "numa");
  if (old !== undefined) removeElement(old);
  if (cells.length < 2) return;
  const lines = cells.map(
    ({ vcpus, memoryKib }, id) =>
      `<cell id="${id}" cpus="${formatRangeList(vcpus)}" memory="${memoryKib}" unit="KiB"/>`,
  );
  const cpu = childOf(root, "cpu") ?? insertAfter(root, "<cpu/>", ["features", "os", "vcpu"]);
  append(cpu, `<numa>${lines.join("")}</numa>`);
}

const PINS: readonly string[] = ["vcpupin", "emulatorpin"];

function writePins(root: Element, { cells, emulatorCpus }: Placement): void {
  const tune = childOf(root, "cputune");
  for (const pin of tune ? childrenOf(tune).filter(({ nodeName }) => PINS.includes(nodeName)) : [])
    removeElement(pin);
  const pins = cells.flatMap(({ pins: own, floating, floatingCpus }) => [
    ...own.map(({ vcpu, cpu }) => ({ vcpu, cpus: [cpu] })),
    ...floating.map(vcpu => ({ vcpu, cpus: floatingCpus })),
  ]);
  const emulator = emulatorCpus.length > 0 ? emulatorCpus : pins.flatMap(({ cpus }) => cpus);
  for (const pin of tune ? childrenOf(tune, "iothreadpin") : []) {
    if (pins.length === 0) removeElement(pin);
    else pin.setAttribute("cpuset", formatRangeList(emulator));
  }
  if (pins.length === 0) {
    removeIfEmpty(tune);
    return;
  }
  const into = tune ?? insertAfter(root, "<cputune/>", ["vcpus", "vcpu"]);
  for (const { vcpu, cpus } of pins.toSorted((one, other) => one.vcpu - other.vcpu))
    append(into, `<vcpupin vcpu="${vcpu}" cpuset="${formatRangeList(cpus)}"/>`);
  append(into, `<emulatorpin cpuset="${formatRangeList(emulator)}"/>`);
}

function writeHostCells(root: Element, cells: readonly PlacedCell[]): void {
  const old = childOf(root, "numatune");
  if (old !== undefined) removeElement(old);
  if (cells.length === 0) return;
  const nodes =
    cells.length < 2
      ? []
      : cells.map(({ hostCell }, id) => `<memnode cellid="${id}" mode="strict" nodeset="${hostCell}"/>`);
  const all = formatRangeList(cells.map(({ hostCell }) => hostCell));
  insertAfter(root, `<numatune><memory mode="strict" nodeset="${all}"/>${nodes.join("")}</numatune>`, [
    "cputune",
    "vcpus",
    "vcpu",
  ]);
}

function writePages(root: Element, cells: readonly PlacedCell[]): void {
  const backing = childOf(root, "memoryBacking");
  const old = backing && childOf(backing, "hugepages");
  if (old !== undefined) removeElement(old);
  const huge = cells.map(({ pageKib }, id) => ({ id, pageKib })).filter(({ pageKib }) => pageKib > 0);
  if (huge.length === 0) {
    removeIfEmpty(backing);
    return;
  }
  const sizes = new Set(cells.map(({ pageKib }) => pageKib));
  const pages =
    sizes.size === 1
      ? [`<page size="${huge[0]?.pageKib}" unit="KiB"/>`]
      : huge.map(({ id, pageKib }) => `<page size="${pageKib}" unit="KiB" nodeset="${id}"/>`);
  const into = backing ?? insertAfter(root, "<memoryBacking/>", ["currentMemory", "memory"]);
  append(into, `<hugepages>${pages.join("")}</hugepages>`);
}

function writeFloating(root: Element, cpus: readonly number[] | undefined): void {
  const vcpu = childOf(root, "vcpu");
  if (vcpu === undefined || cpus === undefined) return;
  if (cpus.length > 0) vcpu.setAttribute("cpuset", formatRangeList(cpus));
  else if (attributeOf(vcpu, "cpuset") !== undefined) vcpu.removeAttribute("cpuset");
}

/** Those that stay get this host's devices in their order; of a reshaped machine host devices are made anew. */
function writeDevices(root: Element, { isReshaped, devices }: HardwareToWrite): void {
  const assigned = assignedElements(root);
  const isMadeAnew = ({ kind }: AssignedElement) => isReshaped && kind === "hostdev";
  const kept = assigned.filter(element => !isMadeAnew(element));
  for (const { element } of assigned.filter(isMadeAnew)) removeElement(element);
  const made = devices.slice(0, devices.length - kept.length);
  const parent = childOf(root, "devices");
  if (isReshaped && parent !== undefined) for (const device of made) append(parent, hostdevXml(device));
  const rest = devices.slice(isReshaped ? made.length : 0);
  kept.forEach((element, index) => {
    const device = rest[index];
    if (device !== undefined) giveDevice(element, device);
  });
}

function append(parent: Element, xml: string): void {
  parent.appendChild(imported(parent, xml));
}

/** Behind the first of these that is there, else in front of everything. */
function insertAfter(root: Element, xml: string, names: readonly string[]): Element {
  const element = imported(root, xml);
  const before = names.map(name => childOf(root, name)).find(found => found !== undefined);
  root.insertBefore(element, before === undefined ? root.firstChild : before.nextSibling);
  return element;
}

function imported(near: Element, xml: string): Element {
  const name = /^<(\w+)/.exec(xml)?.[1] ?? "";
  const element = near.ownerDocument?.importNode(parseXml(xml, name), true);
  if (element === undefined) throw new TypeError("an element belongs to a document");
  return element;
}

function removeIfEmpty(element: Element | undefined): void {
  if (element !== undefined && childrenOf(element).length === 0) removeElement(element);
}
