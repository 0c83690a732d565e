/**
 * The kernel's list format, `0-3,8`: sets of CPUs and of NUMA nodes.
 *
 * Parsing answers sorted numbers without repetition, an empty list for an empty text, and undefined for anything
 * that is not such a list: a misread list must never pass for a short one.
 */

/** Above any machine's CPU count; keeps a garbled `0-4294967295` from filling memory. */
const HIGHEST = 65_535;

const RANGE = /^(\d{1,10})(?:-(\d{1,10}))?$/;

export function parseRangeList(text: string): number[] | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return [];
  const found = new Set<number>();
  for (const part of trimmed.split(",")) {
    const match = RANGE.exec(part);
    if (!match) return undefined;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (last < first || last > HIGHEST) return undefined;
    for (let number = first; number <= last; number++) found.add(number);
  }
  return [...found].sort((a, b) => a - b);
}

/** The shortest list of the numbers, in order. */
export function formatRangeList(numbers: Iterable<number>): string {
  const ranges: { first: number; last: number }[] = [];
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const open = ranges.at(-1);
    if (open && number === open.last + 1) open.last = number;
    else ranges.push({ first: number, last: number });
  }
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

/** Nova's and libvirt's sets: `^3` takes out what the rest names, wherever it stands. */
export function parseCpuSet(text: string): number[] | undefined {
  const parts = text.split(",").map(part => part.trim());
  const out = parts.filter(part => part.startsWith("^")).map(part => part.slice(1));
  const taken = parseRangeList(out.join(","));
  const named = parseRangeList(parts.filter(part => !part.startsWith("^")).join(","));
  if (taken === undefined || named === undefined) return undefined;
  return named.filter(number => !taken.includes(number));
}
