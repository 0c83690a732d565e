/**
 * One text for all spellings of the same XML: what an undo compares with what was saved (SAFETY R18).
 *
 * Equal are documents that differ in attribute order, quotes, blanks between elements, CDATA versus escaped text
 * and `<a></a>` versus `<a/>`, and domains that differ in the order of their controllers: libvirt appends those that
 * it adds, and sorts them when it reads the definition again (after the first start, for one), while type and index
 * say which is which. Nothing else is forgiven. Each element is one line, so that texts can be compared line by line.
 */

import {
  attributesOf,
  type Element,
  escapeXml,
  isBlank,
  isElement,
  type Node,
  parseXml,
} from "./xml-document.js";

/** Canonical text of a document whose root is `rootName`. */
export const canonicalXml = (xml: string, rootName = "domain"): string =>
  canonicalElement(parseXml(xml, rootName));

/** Canonical text of one element. */
export const canonicalElement = (element: Element): string => linesOf(element, "").join("\n");

/** Lines that only one of two canonical texts has, `- ` from the first and `+ ` from the second; at most `limit`. */
export function canonicalDifferences(before: string, after: string, limit = 20): string[] {
  const [first, second] = [before.split("\n"), after.split("\n")];
  const gone = linesOnlyIn(first, second).map(line => `- ${line.trim()}`);
  const come = linesOnlyIn(second, first).map(line => `+ ${line.trim()}`);
  const found = [...gone, ...come];
  const isReordered = found.length === 0 && before !== after;
  return (isReordered ? ["the order of elements"] : found).slice(0, limit);
}

function linesOf(element: Element, indent: string): string[] {
  const attributes = attributesOf(element)
    .map(attribute => ` ${attribute.name}="${escapeXml(attribute.value)}"`)
    .sort();
  const open = `${indent}<${element.nodeName}${attributes.join("")}`;
  const nodes = meaningfulNodes(element);
  if (nodes.length === 0) return [`${open}/>`];
  if (!nodes.some(isElement)) return [`${open}>${nodes.map(textLine).join("")}</${element.nodeName}>`];
  const inner = nodes.flatMap(node =>
    isElement(node) ? linesOf(node, `${indent}  `) : [`${indent}  ${textLine(node)}`],
  );
  return [`${open}>`, ...inner, `${indent}</${element.nodeName}>`];
}

/** Children without blanks between elements; adjacent texts count as they are, a lone blank text is content. */
function meaningfulNodes(element: Element): Node[] {
  const nodes = Array.from(element.childNodes);
  const hasElements = nodes.some(node => isElement(node) || node.nodeType === node.COMMENT_NODE);
  if (!hasElements) return nodes;
  const meaningful = nodes.filter(node => !isBlank(node));
  return element.nodeName === "devices" ? withSortedControllers(meaningful) : meaningful;
}

/** The controllers in the order of their own text, all where the first of them stands. */
function withSortedControllers(devices: readonly Node[]): Node[] {
  const isController = (node: Node): node is Element => isElement(node) && node.nodeName === "controller";
  const controllers = devices
    .filter(isController)
    .map(controller => ({ controller, text: canonicalElement(controller) }))
    .sort((one, other) => (one.text < other.text ? -1 : 1))
    .map(({ controller }): Node => controller);
  const firstAt = devices.findIndex(isController);
  if (firstAt < 0) return [...devices];
  const others = (from: number, to?: number) => devices.slice(from, to).filter(node => !isController(node));
  return [...others(0, firstAt), ...controllers, ...others(firstAt)];
}

function textLine(node: Node): string {
  const value = node.nodeValue ?? "";
  if (node.nodeType === node.COMMENT_NODE) return `<!--${value.replaceAll("\n", "&#10;")}-->`;
  if (node.nodeType === node.PROCESSING_INSTRUCTION_NODE) return `<?${node.nodeName} ${value}?>`;
  return escapeXml(value);
}

function linesOnlyIn(lines: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const line of others) left.set(line, (left.get(line) ?? 0) + 1);
  return lines.filter(line => {
    const count = left.get(line) ?? 0;
    left.set(line, count - 1);
    return count <= 0;
  });
}
