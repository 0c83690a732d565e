/** A simulated datacenter behind REST, made anew for every test of the file that asks for one, and unharmed after it. */

import { afterEach, beforeEach, expect } from "vitest";
import { NovaWorld } from "./nova-world.js";

/** Calls back before every test. */
export function withNovaWorld(made: (nova: NovaWorld) => Promise<void> | void): void {
  let nova: NovaWorld;
  beforeEach(async () => {
    nova = await NovaWorld.open();
    await made(nova);
  });
  afterEach(async () => {
    expect(nova.failures).toEqual([]);
    expect(nova.center.breaches).toEqual([]);
    await nova.close();
  });
}
