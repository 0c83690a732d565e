/**
 * PCI devices of the host in a definition: passed through (`<hostdev>`, `<interface type='hostdev'>`), or plugged into by
 * name (`<interface type='direct'>`, macvtap). All that belongs to the host in them is one address or name.
 */

import { devicesOf } from "./domain-xml.js";
import { pciAddressOf, setPciAddress } from "./pci-address.js";
import { attributeOf, childOf, type Element } from "./xml-document.js";

export interface AssignedElement {
  readonly kind: "hostdev" | "interface" | "macvtap";
  readonly element: Element;
  /** PCI address; for macvtap the name of the host's network port. */
  readonly place: string;
}

/** A device of this host that takes the place of another one. */
export interface GivenDevice {
  readonly address: string;
  readonly networkInterface: string | undefined;
}

/** Host devices first, then interfaces, each in the order of the definition. */
export function assignedElements(root: Element): AssignedElement[] {
  return [
    ...devicesOf(root, "hostdev")
      .filter(isPci)
      .map(element => assigned("hostdev", element)),
    ...devicesOf(root, "interface").flatMap(element => {
      const type = attributeOf(element, "type");
      if (type === "hostdev") return [assigned("interface", element)];
      return type === "direct" ? [assigned("macvtap", element)] : [];
    }),
  ];
}

const isPci = (hostdev: Element): boolean =>
  attributeOf(hostdev, "type") === "pci" && (attributeOf(hostdev, "mode") ?? "subsystem") === "subsystem";

function assigned(kind: AssignedElement["kind"], element: Element): AssignedElement {
  const source = childOf(element, "source");
  const place =
    kind === "macvtap" ? attributeOf(source, "dev") : pciAddressOf(source && childOf(source, "address"));
  return { kind, element, place: place ?? "" };
}

/** The guest's own address of the device, its MAC and everything else stay. */
export function giveDevice({ kind, element }: AssignedElement, given: GivenDevice): void {
  const source = childOf(element, "source");
  if (kind === "macvtap") {
    source?.setAttribute("dev", given.networkInterface ?? "");
    return;
  }
  const address = source && childOf(source, "address");
  if (address !== undefined) setPciAddress(address, given.address);
  // libvirt takes the device from its driver on this host, and gives it back.
  element.setAttribute("managed", "yes");
}

export const hostdevXml = ({ address }: Pick<GivenDevice, "address">): string => {
  const [domain, bus, slot, func] = address.split(/[:.]/);
  return (
    `<hostdev mode="subsystem" type="pci" managed="yes"><source>` +
    `<address domain="0x${domain}" bus="0x${bus}" slot="0x${slot}" function="0x${func}"/></source></hostdev>`
  );
};
