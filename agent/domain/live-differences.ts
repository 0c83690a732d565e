/**
 * What a running domain has that its inactive definition has not, and the other way round (SAFETY R17).
 *
 * libvirt adds much to live XML that is no change: aliases, addresses, security labels, ids, backing chains, port
 * numbers, tap names, the expanded CPU, the chosen firmware. All of that is taken out of both texts; what still
 * differs would be lost when the guest is started again from its definition, and is reported by name.
 */

import { canonicalElement } from "./canonical-xml.js";
import {
  attributeOf,
  childOf,
  childrenOf,
  type Element,
  parseXml,
  removeElement,
  textOf,
} from "./xml-document.js";

export interface LiveDifference {
  readonly kind: "only-live" | "only-inactive" | "changed";
  /** The device or setting: `disk vdd (/images/hot.raw)`, `interface 52:54:00:…`, `<vcpu>`. */
  readonly what: string;
}

export function liveDifferences(inactiveXml: string, liveXml: string): LiveDifference[] {
  const inactive = parseXml(inactiveXml, "domain");
  const live = parseXml(liveXml, "domain");
  const firmwareIsChosen = attributeOf(childOf(inactive, "os"), "firmware") !== undefined;
  for (const root of [inactive, live]) stripWhatLibvirtAdds(root, firmwareIsChosen);
  return [...settingDifferences(inactive, live), ...deviceDifferences(inactive, live)];
}

/** Settings of no meaning for the next start: they are runtime state, or a person's notes. */
const IGNORED_SETTINGS: readonly string[] = [
  "devices",
  "currentMemory",
  "resource",
  "seclabel",
  "metadata",
  "title",
  "description",
];

function settingDifferences(inactive: Element, live: Element): LiveDifference[] {
  const names = [...childrenOf(inactive), ...childrenOf(live)].map(child => child.nodeName);
  const textOfSetting = (root: Element, name: string) =>
    childrenOf(root, name).map(canonicalElement).join("\n");
  return [...new Set(names)]
    .filter(name => !IGNORED_SETTINGS.includes(name))
    .filter(name => textOfSetting(inactive, name) !== textOfSetting(live, name))
    .map(name => ({ kind: "changed", what: `<${name}>` }));
}

function deviceDifferences(inactive: Element, live: Element): LiveDifference[] {
  const [before, now] = [devicesOf(inactive), devicesOf(live)];
  const gone = missingFrom(now, before);
  const come = missingFrom(before, now);
  const isIn = (devices: readonly NamedDevice[], name: string) =>
    devices.some(device => device.name === name);
  return [
    ...come.map(({ name, label }): LiveDifference => {
      return { kind: isIn(gone, name) ? "changed" : "only-live", what: label };
    }),
    ...gone
      .filter(({ name }) => !isIn(come, name))
      .map(({ label }): LiveDifference => ({ kind: "only-inactive", what: label })),
  ];
}

interface NamedDevice {
  /** What makes it the same device on both sides. */
  readonly name: string;
  /** The name for people, with the file behind it. */
  readonly label: string;
  readonly text: string;
}

function devicesOf(root: Element): NamedDevice[] {
  const devices = childOf(root, "devices");
  return (devices ? childrenOf(devices) : []).map(element => {
    const name = nameOfDevice(element);
    const source = childOf(element, "source");
    const path = attributeOf(source, "file") ?? attributeOf(source, "dev");
    return { name, label: path ? `${name} (${path})` : name, text: canonicalElement(element) };
  });
}

/** Those in `these` for which `others` has no equal, counted one to one. */
function missingFrom(others: readonly NamedDevice[], these: readonly NamedDevice[]): NamedDevice[] {
  const left = others.map(other => other.text);
  return these.filter(({ text }) => {
    const at = left.indexOf(text);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

function nameOfDevice(element: Element): string {
  const target = childOf(element, "target");
  if (element.nodeName === "disk") return `disk ${attributeOf(target, "dev") ?? ""}`;
  const parts = [
    attributeOf(childOf(element, "mac"), "address"),
    attributeOf(element, "type"),
    attributeOf(element, "index") ?? attributeOf(target, "name"),
  ];
  return [element.nodeName, ...parts.filter(part => part !== undefined)].join(" ");
}

function stripWhatLibvirtAdds(root: Element, firmwareIsChosen: boolean): void {
  root.removeAttribute("id");
  stripFirmware(root, firmwareIsChosen);
  stripCpu(root);
  for (const clock of childrenOf(root, "clock")) drop(clock, "adjustment", "basis");
  const devices = childOf(root, "devices");
  for (const device of devices ? childrenOf(devices) : []) stripDevice(device);
}

/** With `<os firmware=…>` libvirt picks loader, NVRAM and the features they need at each start. */
function stripFirmware(root: Element, isChosen: boolean): void {
  if (!isChosen) return;
  const os = childOf(root, "os");
  if (os) drop(os, "firmware");
  for (const name of ["loader", "nvram", "firmware"]) {
    for (const element of os ? childrenOf(os, name) : []) removeElement(element);
  }
  const features = childOf(root, "features");
  for (const smm of features ? childrenOf(features, "smm") : []) removeElement(smm);
}

/** Model and features are expanded at start; topology, cells and caches are not. */
function stripCpu(root: Element): void {
  const cpu = childOf(root, "cpu");
  if (!cpu) return;
  drop(cpu, "mode", "match", "check", "migratable");
  for (const name of ["model", "vendor", "feature", "maxphysaddr"]) {
    for (const element of childrenOf(cpu, name)) removeElement(element);
  }
  if (childrenOf(cpu).length === 0) removeElement(cpu);
}

function stripDevice(device: Element): void {
  for (const name of ["address", "backingStore", "privateData", "seclabel"]) {
    for (const element of childrenOf(device, name)) removeElement(element);
  }
  for (const alias of childrenOf(device, "alias")) {
    if (!attributeOf(alias, "name")?.startsWith("ua-")) removeElement(alias);
  }
  STRIPPERS[device.nodeName]?.(device);
}

const STRIPPERS: Readonly<Record<string, (device: Element) => void>> = {
  disk: stripDisk,
  interface: stripInterface,
  serial: stripCharacterDevice,
  console: stripCharacterDevice,
  parallel: stripCharacterDevice,
  channel: stripCharacterDevice,
  graphics: stripGraphics,
  vsock: vsock => {
    for (const cid of childrenOf(vsock, "cid")) if (attributeOf(cid, "auto") === "yes") drop(cid, "address");
  },
};

function stripDisk(disk: Element): void {
  const source = childOf(disk, "source");
  if (source) drop(source, "index");
  // What the configuration of the host says is written out at start; "yes" would be a difference indeed.
  if (source && attributeOf(source, "tls") === "no") drop(source, "tls");
  for (const label of source ? childrenOf(source, "seclabel") : []) removeElement(label);
  for (const target of childrenOf(disk, "target")) drop(target, "tray");
  // An empty drive has no image, so libvirt leaves out the image's format while it runs.
  if (!source) for (const driver of childrenOf(disk, "driver")) drop(driver, "type");
}

function stripInterface(nic: Element): void {
  const target = childOf(nic, "target");
  const isGenerated = /^(vnet|macvtap|macvlan)\d+$/.test(attributeOf(target, "dev") ?? "");
  if (target && isGenerated) removeElement(target);
  const source = childOf(nic, "source");
  if (attributeOf(source, "network") === undefined || !source) return;
  nic.setAttribute("type", "network");
  drop(source, "portid", "bridge", "dev", "mode");
  // These come from the network's definition, not from the domain's, once the port is made.
  for (const name of ["virtualport", "vlan", "bandwidth"]) {
    for (const element of childrenOf(nic, name)) removeElement(element);
  }
}

function stripCharacterDevice(device: Element): void {
  drop(device, "tty");
  for (const target of childrenOf(device, "target")) drop(target, "state");
  const isMadeByLibvirt = (path: string) =>
    path.startsWith("/dev/pts/") || path.includes("/libvirt/qemu/channel/");
  for (const source of childrenOf(device, "source")) {
    if (isMadeByLibvirt(attributeOf(source, "path") ?? "")) removeElement(source);
  }
}

function stripGraphics(graphics: Element): void {
  const isAutomatic = attributeOf(graphics, "autoport") !== "no" || attributeOf(graphics, "port") === "-1";
  if (isAutomatic) drop(graphics, "port", "tlsPort", "websocket");
  for (const listen of childrenOf(graphics, "listen")) {
    if (attributeOf(listen, "type") === "network") drop(listen, "address");
    if (attributeOf(listen, "socket")?.includes("/libvirt/qemu/")) drop(listen, "socket");
  }
  if (attributeOf(graphics, "socket")?.includes("/libvirt/qemu/")) drop(graphics, "socket");
  if (textOf(graphics) === undefined && attributeOf(childOf(graphics, "listen"), "type") === "network") {
    drop(graphics, "listen");
  }
}

function drop(element: Element, ...names: readonly string[]): void {
  for (const name of names) element.removeAttribute(name);
}
