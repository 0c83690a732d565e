import { expect, it } from "vitest";
import { BEATS_BETWEEN_LOOKS, seldom } from "../../../agent/seldom.js";

it("looks again with every few calls, and at once after a look that failed", async () => {
  let looks = 0;
  let fails = false;
  const ask = seldom(async () => {
    looks += 1;
    if (fails) throw new Error("no answer");
    return looks;
  });
  for (let beat = 0; beat < BEATS_BETWEEN_LOOKS; beat += 1) expect(await ask()).toBe(1);
  expect(await ask()).toBe(2);
  fails = true;
  for (let beat = 1; beat < BEATS_BETWEEN_LOOKS; beat += 1) expect(await ask()).toBe(2);
  await expect(ask()).rejects.toThrow("no answer");
  fails = false;
  expect(await ask()).toBe(4);
});
