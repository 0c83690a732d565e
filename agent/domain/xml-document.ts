/**
 * XML as libvirt writes it, read from sources that may be hostile, and written back with nothing lost.
 *
 * Promises: what the parser accepts is well-formed XML 1.0 without a document type or entities of its own, at most
 * 4 MiB, 50,000 tags and 64 levels; everything else is Fault("invalid-argument"). `serializeXml` keeps every
 * element, attribute, comment, CDATA section and blank in its place.
 */

import assert from "node:assert";
import { type Attr, DOMParser, type Document, type Element, type Node, XMLSerializer } from "@xmldom/xmldom";
import { Fault } from "../../proto/fault.js";

export type { Document, Element, Node } from "@xmldom/xmldom";

const MAX_BYTES = 4 * 1024 * 1024;
const MAX_TAGS = 50_000;
const MAX_DEPTH = 64;

/** Characters that no XML 1.0 document may hold, lone surrogates included. */
const FORBIDDEN = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;

/** The root element of a document; its `ownerDocument` is what `serializeXml` writes. */
export function parseXml(text: string, rootName: string): Element {
  refuseOutrageous(text, rootName);
  let document: Document;
  try {
    document = new DOMParser({ onError: refuseProblem }).parseFromString(text, "text/xml");
  } catch (error) {
    throw invalid(rootName, error instanceof Error ? error.message : String(error), { cause: error });
  }
  if (document.doctype) throw invalid(rootName, "a document type is not allowed");
  const root = document.documentElement;
  if (root?.nodeName !== rootName) throw invalid(rootName, `the root element is <${root?.nodeName ?? ""}>`);
  refuseDeepOrForbidden(root, rootName);
  return root;
}

const shared = new WeakSet<Node>();

/** The document of this element has several readers: nobody may change it, and so nobody writes it. */
export const share = (root: Element): void => void shared.add(root.ownerDocument ?? root);

export function serializeXml(root: Element): string {
  assert(!shared.has(root.ownerDocument ?? root), "a document that others read is not written");
  const whole = root.ownerDocument?.documentElement === root ? root.ownerDocument : root;
  // The parser has turned literal carriage returns into line feeds: those that are left were character references.
  return new XMLSerializer().serializeToString(whole).replaceAll("\r", "&#13;");
}

/** Child elements, all of them or those with one name. */
export function childrenOf(parent: Element, name?: string): Element[] {
  const found: Element[] = [];
  for (let node = parent.firstChild; node; node = node.nextSibling) {
    if (isElement(node) && (name === undefined || node.nodeName === name)) found.push(node);
  }
  return found;
}

/** The first element at a path of names: `childOf(domain, "os", "nvram")`. */
export function childOf(parent: Element, ...path: readonly string[]): Element | undefined {
  let found: Element | undefined = parent;
  for (const name of path) found = found && childrenOf(found, name)[0];
  return found;
}

export const isElement = (node: Node): node is Element => node.nodeType === node.ELEMENT_NODE;

export const attributesOf = (element: Element): Attr[] => Array.from(element.attributes);

export const attributeOf = (element: Element | undefined, name: string): string | undefined =>
  element?.getAttribute(name) ?? undefined;

/** Text without the blanks around it; undefined when there is none. */
export const textOf = (element: Element | undefined): string | undefined =>
  element?.textContent?.trim() || undefined;

/** Remove an element and the indentation in front of it; a parent left with nothing but blanks becomes empty. */
export function removeElement(element: Element): void {
  const parent = element.parentNode;
  if (isBlank(element.previousSibling)) parent?.removeChild(element.previousSibling);
  parent?.removeChild(element);
  const rest = parent?.firstChild ?? null;
  if (isBlank(rest) && rest.nextSibling === null) parent?.removeChild(rest);
}

/** Text that only sets elements apart. */
export const isBlank = (node: Node | null): node is Node =>
  node?.nodeType === node?.TEXT_NODE && node?.nodeValue?.trim() === "";

export const escapeXml = (text: string): string =>
  text.replace(/[&<>"'\t\n\r]/g, character => `&#${character.charCodeAt(0)};`);

function refuseProblem(_level: string, message: string): never {
  throw new SyntaxError(message);
}

function refuseOutrageous(text: string, rootName: string): void {
  if (Buffer.byteLength(text) > MAX_BYTES) throw invalid(rootName, `larger than ${MAX_BYTES} bytes`);
  const forbidden = FORBIDDEN.exec(text);
  if (forbidden) throw invalid(rootName, `a character that XML does not allow at offset ${forbidden.index}`);
  let tags = 0;
  for (let at = text.indexOf("<"); at >= 0; at = text.indexOf("<", at + 1)) {
    tags += 1;
    if (tags > MAX_TAGS) throw invalid(rootName, `more than ${MAX_TAGS} tags`);
  }
}

/** Iterative, because recursion is what a deep document is meant to break. Character references are seen here only. */
function refuseDeepOrForbidden(root: Element, rootName: string): void {
  const open: { node: Node; depth: number }[] = [{ node: root, depth: 1 }];
  for (let entry = open.pop(); entry; entry = open.pop()) {
    const { node, depth } = entry;
    if (depth > MAX_DEPTH) throw invalid(rootName, `deeper than ${MAX_DEPTH} levels`);
    const values = isElement(node) ? attributesOf(node).map(attribute => attribute.value) : [node.nodeValue];
    if (values.some(value => value && FORBIDDEN.test(value))) {
      throw invalid(rootName, "a reference to a character that XML does not allow");
    }
    for (let child = node.firstChild; child; child = child.nextSibling) {
      open.push({ node: child, depth: depth + 1 });
    }
  }
}

function invalid(rootName: string, reason: string, options?: ErrorOptions): Fault {
  return new Fault("invalid-argument", `${rootName} XML: ${reason.split("\n")[0]}`, {}, options);
}
