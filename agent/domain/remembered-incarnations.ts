/** Which incarnation a domain's XML names: every heartbeat asks that of every guest of the host. */

import { rememberedByText } from "../remembered-by-text.js";
import { readDomain } from "./domain-xml.js";
import { formatIncarnation, readIncarnation } from "./ferry-metadata.js";

const MOST_GUESTS = 1_000;

/** Undefined when Ferry has not marked it. Fault("invalid-argument") for what is no domain, or marked twice. */
export const incarnationOf = rememberedByText(MOST_GUESTS, (domainXml): string | undefined => {
  const mark = readIncarnation(readDomain(domainXml).root);
  return mark && formatIncarnation(mark);
});
