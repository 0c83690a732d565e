/**
 * Which incarnation a domain's XML names, remembered by the text: every heartbeat asks that of every guest of the host, and
 * to read the whole document each time costs more than all the rest of it. The text is all that the answer depends on.
 */

import { readDomain } from "./domain-xml.js";
import { formatIncarnation, readIncarnation } from "./ferry-metadata.js";

const MOST_TEXTS = 1_000;

const known = new Map<string, string | undefined>();

/** Undefined when Ferry has not marked it. Fault("invalid-argument") for what is no domain, or marked twice. */
export function incarnationOf(domainXml: string): string | undefined {
  if (known.has(domainXml)) return known.get(domainXml);
  const mark = readIncarnation(readDomain(domainXml).root);
  const incarnation = mark && formatIncarnation(mark);
  if (known.size >= MOST_TEXTS) known.clear();
  known.set(domainXml, incarnation);
  return incarnation;
}
