/** The same numbers at every run, so that two runs are about the same fleet. */

/** In [0, 1). */
export type Random = () => number;

/** mulberry32. */
export function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const oneOf = <Item>(items: readonly Item[], random: Random): Item => {
  const chosen = items[Math.floor(random() * items.length)];
  if (chosen === undefined) throw new Error("nothing to choose from");
  return chosen;
};
