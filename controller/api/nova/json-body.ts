/** A request's JSON: parsed once, bounded in depth, and refused as Nova refuses what it cannot read. */

import { malformed } from "./route.js";

/** Deeper than anything that Nova's schemas allow. */
const DEEPEST = 32;

/** What the content type parser passes on. */
interface RawBody {
  readonly text: string;
}

export function parseBody(raw: unknown): unknown {
  const text = (raw as RawBody | undefined)?.text ?? "";
  if (text === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed();
  }
  if (isDeeper(value, DEEPEST)) throw malformed();
  return value;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some(member => isDeeper(member, levels - 1));
}
