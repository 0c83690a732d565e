/**
 * Ferry's mark in a domain's `<metadata>`: which incarnation of a server this definition is (SAFETY R5).
 *
 *   <ferry:ferry xmlns:ferry="https://ferry.dev/xmlns/domain/1">
 *     <ferry:incarnation id="…"/>
 *   </ferry:ferry>
 *
 * The id is one word, `<server uuid>/<migration id or "home">/<source|target>/<epoch>`: the libvirt hook compares it as it
 * stands with what this host may run.
 */

import { Fault } from "../../proto/fault.js";
import {
  attributeOf,
  childOf,
  childrenOf,
  type Document,
  type Element,
  escapeXml,
  parseXml,
  removeElement,
} from "./xml-document.js";

export const FERRY_NAMESPACE = "https://ferry.dev/xmlns/domain/1";

export interface Incarnation {
  readonly server: string;
  /** The migration that defined it, or `home` for a server that Ferry created or adopted in place. */
  readonly migration: string;
  readonly side: "source" | "target";
  readonly epoch: number;
}

export const formatIncarnation = ({ server, migration, side, epoch }: Incarnation): string =>
  `${server}/${migration}/${side}/${epoch}`;

export function parseIncarnation(id: string): Incarnation {
  const [server, migration, side, epoch, ...rest] = id.split("/");
  if (rest.length > 0) throw new Fault("invalid-argument", `${id} is not an incarnation id`);
  return incarnationOf({ server, migration, side, epoch });
}

/** The element as it stands in a domain. */
export const ferryMetadata = (incarnation: Incarnation): string =>
  `<ferry:ferry xmlns:ferry="${FERRY_NAMESPACE}"><ferry:incarnation ${idText(incarnation)}/></ferry:ferry>`;

/**
 * The element as `Hypervisor.setMetadata` takes it: libvirt puts namespace and prefix to it (to the children as well),
 * and refuses text that has declared that prefix already.
 */
export const ferryMetadataToSet = (incarnation: Incarnation): string =>
  `<ferry><incarnation ${idText(incarnation)}/></ferry>`;

const idText = (incarnation: Incarnation): string => `id="${escapeXml(formatIncarnation(incarnation))}"`;

/** The incarnation that a domain is marked as; undefined without a mark. A mark that does not read is a fault. */
export function readIncarnation(domain: Element): Incarnation | undefined {
  const marks = marksOf(domain);
  if (marks.length === 0) return undefined;
  const elements = marks.flatMap(mark => childrenOf(mark)).filter(isIncarnation);
  const [element, ...more] = elements;
  if (!element || more.length > 0) {
    throw new Fault("invalid-argument", `Ferry's metadata names ${elements.length} incarnations, not one`);
  }
  return parseIncarnation(attributeOf(element, "id") ?? "");
}

/** Mark a domain, in place of any earlier mark; other metadata stays as it is. */
export function writeIncarnation(domain: Element, incarnation: Incarnation): void {
  const document = domain.ownerDocument;
  if (!document) throw new TypeError("the domain element is in no document");
  const mark = document.importNode(parseXml(ferryMetadata(incarnation), "ferry:ferry"), true);
  const [earlier, ...further] = marksOf(domain);
  for (const one of further) removeElement(one);
  if (earlier) earlier.parentNode?.replaceChild(mark, earlier);
  else metadataOf(domain, document).appendChild(mark);
}

function metadataOf(domain: Element, document: Document): Element {
  const present = childOf(domain, "metadata");
  if (present) return present;
  const made = document.createElement("metadata");
  domain.appendChild(made);
  return made;
}

const marksOf = (domain: Element): Element[] =>
  childrenOf(domain, "metadata").flatMap(metadata =>
    childrenOf(metadata).filter(child => child.namespaceURI === FERRY_NAMESPACE),
  );

/** Other versions of libvirt may give the namespace to the outer element only. */
const isIncarnation = (element: Element): boolean =>
  element.localName === "incarnation" && (element.namespaceURI === FERRY_NAMESPACE || !element.namespaceURI);

function incarnationOf(parts: {
  readonly server: string | undefined;
  readonly migration: string | undefined;
  readonly side: string | undefined;
  readonly epoch: string | undefined;
}): Incarnation {
  const { server, migration, side, epoch } = parts;
  const isWhole = isWord(server) && isWord(migration) && (side === "source" || side === "target");
  if (!isWhole || epoch === undefined || !/^\d{1,15}$/.test(epoch)) {
    throw new Fault("invalid-argument", `not an incarnation: ${[server, migration, side, epoch].join("/")}`);
  }
  return { server, migration, side, epoch: Number(epoch) };
}

const isWord = (text: string | undefined): text is string =>
  text !== undefined && /^[\w.-]{1,128}$/.test(text);
