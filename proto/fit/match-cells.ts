/** Which host cells for which guest cells: sets of host cells, and a matching within one set. */

/** All subsets of `size`, in the order of the items. */
export function* subsets(items: readonly number[], size: number): Generator<readonly number[]> {
  if (size === 0) yield [];
  for (let index = 0; index + size <= items.length && size > 0; index++) {
    for (const rest of subsets(items.slice(index + 1), size - 1)) yield [items[index] ?? 0, ...rest];
  }
}

/**
 * One host cell of `chosen` for each guest cell, each used once; undefined when there is no such matching.
 * `fits[guest][host]` (augmenting paths).
 */
export function matchCells(
  fits: readonly (readonly boolean[])[],
  chosen: readonly number[],
): readonly number[] | undefined {
  const guestOf = new Map<number, number>();
  const place = (guest: number, seen: Set<number>): boolean => {
    const able = chosen.filter(host => fits[guest]?.[host]);
    const free = able.find(host => !guestOf.has(host));
    const taken = free ?? able.find(host => yields(host, seen));
    if (taken !== undefined) guestOf.set(taken, guest);
    return taken !== undefined;
  };
  const yields = (host: number, seen: Set<number>): boolean => {
    if (seen.has(host)) return false;
    seen.add(host);
    return place(guestOf.get(host) ?? 0, seen);
  };
  for (let guest = 0; guest < fits.length; guest++) if (!place(guest, new Set())) return undefined;
  const hostOf = new Map([...guestOf].map(([host, guest]) => [guest, host]));
  return fits.map((_, guest) => hostOf.get(guest) ?? 0);
}
