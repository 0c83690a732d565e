/** `<address domain='0x0000' bus='0x81' slot='0x00' function='0x1'/>` and the kernel's 0000:81:00.1. */

import { attributeOf, type Element } from "./xml-document.js";

/** Undefined for an address of another kind. */
export function pciAddressOf(element: Element | undefined): string | undefined {
  if (element === undefined || attributeOf(element, "bus") === undefined) return undefined;
  const [domain, bus, slot, func] = ["domain", "bus", "slot", "function"].map(name =>
    numberOf(attributeOf(element, name) ?? "0"),
  );
  if (domain === undefined || bus === undefined || slot === undefined || func === undefined) return undefined;
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(slot, 2)}.${hex(func, 1)}`;
}

export function setPciAddress(element: Element, address: string): void {
  const match = /^([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/.exec(address);
  if (match === null) throw new TypeError(`${address} is not a PCI address`);
  ["domain", "bus", "slot", "function"].forEach((name, index) => {
    element.setAttribute(name, `0x${match[index + 1]}`);
  });
}

const numberOf = (text: string): number | undefined =>
  /^(0x[0-9a-f]{1,8}|\d{1,9})$/i.test(text) ? Number(text) : undefined;

const hex = (number: number, digits: number): string => number.toString(16).padStart(digits, "0");
