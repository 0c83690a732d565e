/** Minimum bandwidth that a definition's ports ask for: `<bandwidth><inbound floor="1000"/>`, in KiB/s, by network. */

import type { Domain } from "./domain-xml.js";
import { attributeOf, childOf } from "./xml-document.js";

export function guaranteedKibps({ interfaces }: Domain): Map<string, number> {
  const byNetwork = new Map<string, number>();
  for (const { element, network, bridge } of interfaces) {
    const name = network ?? bridge ?? "";
    const floor = Number(attributeOf(childOf(element, "bandwidth", "inbound"), "floor") ?? 0);
    if (floor > 0) byNetwork.set(name, (byNetwork.get(name) ?? 0) + floor);
  }
  return byNetwork;
}
