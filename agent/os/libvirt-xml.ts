/** The few facts that libvirt tells only inside XML. */

import { DOMParser, type Element } from "@xmldom/xmldom";

/** Type and target path ("" where there is none) of a storage pool. */
export function poolTarget(poolXml: string): { readonly type: string; readonly path: string } {
  const pool = rootOf(poolXml);
  const target = childrenOf(pool, "target")[0];
  const path = target && childrenOf(target, "path")[0]?.textContent;
  return { type: pool.getAttribute("type") ?? "", path: path?.trim() ?? "" };
}

/** Target names (`vda`) of a domain's disks. */
export function diskNames(domainXml: string): string[] {
  const disks = childrenOf(rootOf(domainXml), "devices").flatMap(devices => childrenOf(devices, "disk"));
  const names = disks.map(disk => childrenOf(disk, "target")[0]?.getAttribute("dev"));
  return names.filter(name => name !== null && name !== undefined);
}

function rootOf(xml: string): Element {
  const root = new DOMParser().parseFromString(xml, "text/xml").documentElement;
  if (root === null) throw new Error("libvirt answered XML without an element");
  return root;
}

const childrenOf = (parent: Element, name: string): Element[] =>
  Array.from(parent.childNodes).filter((node): node is Element => node.nodeName === name);
