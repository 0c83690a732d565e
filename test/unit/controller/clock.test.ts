/** What the rest of the controller may rely on when it asks for the time. */

import { expect, it } from "vitest";
import { systemClock } from "../../../controller/clock.js";

it("both clocks count whole milliseconds, which is all that a record can hold", async () => {
  for (let look = 0; look < 20; look += 1) {
    expect(Number.isInteger(systemClock.monotonicMs())).toBe(true);
    expect(Number.isInteger(systemClock.nowMs())).toBe(true);
    await systemClock.sleep(1, new AbortController().signal);
  }
});
