/** A fixed set of seeds, and a fresh one: whatever goes wrong in the simulated fleet, the promises hold. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runSeed } from "./run-seed.js";
import { watchUnhandledRejections } from "./unhandled.js";

const own: unknown[] = [];
beforeAll(() => watchUnhandledRejections(error => own.push(error)));
afterAll(() => expect(own).toEqual([]));

/** For so long at most; what is not reached of the set is reached by `npm run sim`. */
const BUDGET_MS = 1_500;

async function runFrom(first: number): Promise<string[]> {
  const endMs = Date.now() + BUDGET_MS;
  for (let seed = first; Date.now() < endMs; seed += 1) {
    const { violations } = await runSeed(seed);
    if (violations.length > 0) return [...violations, `npm run sim -- --seed ${seed} --transcript`];
  }
  return [];
}

describe("a simulated fleet", () => {
  it("keeps its promises in seeds that are always the same", async () => {
    expect(await runFrom(1)).toEqual([]);
  });

  it("keeps its promises in seeds that are new each time", async () => {
    expect(await runFrom((Date.now() % 1_000_000) * 1_000)).toEqual([]);
  });

  it("takes what a person gave up for given up, also when the server did not run until its next move was confirmed", async () => {
    expect((await runSeed(50_000_752)).violations).toEqual([]);
  });

  it("carries out once what the network repeats, also when all is good again", async () => {
    expect((await runSeed(588_040_336)).violations).toEqual([]);
  });

  it("does the same again from the same seed", async () => {
    // One with calls that are tried again, after a time of which a part is chance.
    const [one, other] = [
      await runSeed(2178, { transcript: true }),
      await runSeed(2178, { transcript: true }),
    ];
    expect(one.transcript.length).toBeGreaterThan(50);
    expect(other).toEqual(one);
  });
});
