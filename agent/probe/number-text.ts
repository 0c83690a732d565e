/**
 * Numbers as the kernel prints them. Undefined for whatever is not exactly such a number, or too large for the
 * field it is read for: garbage must not turn into a plausible value.
 */

const UINT32_MAX = 0xffff_ffff;

/** A whole number that fits 32 bits: ids, counts of CPUs. */
export function parseCount(text: string): number | undefined {
  return parseNatural(text, UINT32_MAX);
}

/** A whole number that JavaScript holds exactly: sizes. */
export function parseSize(text: string): number | undefined {
  return parseNatural(text, Number.MAX_SAFE_INTEGER);
}

function parseNatural(text: string, max: number): number | undefined {
  const trimmed = text.trim();
  if (!/^\d{1,20}$/.test(trimmed)) return undefined;
  const number = Number(trimmed);
  return number <= max ? number : undefined;
}

/** A count where the kernel writes -1 for "not known". */
export function parseKnownCount(text: string): number | "unknown" | undefined {
  return text.trim() === "-1" ? "unknown" : parseCount(text);
}
