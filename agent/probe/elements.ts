/**
 * Walking an XML document of libvirt by element names.
 *
 * A missing element is no error: `textAt` answers undefined and `all` an empty list, because libvirt leaves out
 * what does not apply. A text that is not XML, or whose root is another element, is a fault.
 */

import { DOMParser, type Element, XMLSerializer } from "@xmldom/xmldom";
import { Fault } from "../../proto/fault.js";

export type { Element };

export function parseRoot(xml: string, rootName: string): Element {
  const problems: string[] = [];
  const parser = new DOMParser({
    onError: (level, message) => level === "warning" || problems.push(message),
  });
  const root = attempt(() => parser.parseFromString(xml, "text/xml").documentElement, problems);
  const [problem] = problems;
  if (problem !== undefined || root?.tagName !== rootName) {
    throw new Fault("corrupt", `not a <${rootName}> document: ${problem ?? `it is a <${root?.tagName}>`}`);
  }
  return root;
}

/** The parser throws what it cannot get over, after it told the error handler. */
function attempt(parse: () => Element | null, problems: string[]): Element | null {
  try {
    return parse();
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
    return null;
  }
}

/** Descendants along a path of child element names. */
export function all(parent: Element, ...path: readonly string[]): Element[] {
  return path.reduce<Element[]>(
    (level, name) =>
      level.flatMap(element =>
        [...element.childNodes].filter((node): node is Element => node.nodeName === name),
      ),
    [parent],
  );
}

export function first(parent: Element, ...path: readonly string[]): Element | undefined {
  return all(parent, ...path)[0];
}

export const text = (element: Element): string => (element.textContent ?? "").trim();

export function textAt(parent: Element, ...path: readonly string[]): string | undefined {
  const found = first(parent, ...path);
  return found && text(found);
}

export const texts = (elements: readonly Element[]): string[] => elements.map(text);

export const attribute = (element: Element | undefined, name: string): string | undefined =>
  element?.getAttribute(name) ?? undefined;

export const serialize = (element: Element): string => new XMLSerializer().serializeToString(element);
