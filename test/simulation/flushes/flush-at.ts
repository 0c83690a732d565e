/** Around every flush of the product while the tests of the simulation run: one of them can be left out. */

const met = new Set<string>();
let leftOut = "";

export function flushAt<Flush>(site: string, flush: Flush): Flush {
  met.add(site);
  return site === leftOut ? ((async () => {}) as Flush) : flush;
}

/** Carries it out without the flush at one place, or with all of them; answers at which it came by. */
export async function without(site: string, body: () => Promise<unknown>): Promise<ReadonlySet<string>> {
  met.clear();
  leftOut = site;
  try {
    await body();
    return new Set(met);
  } finally {
    leftOut = "";
  }
}
