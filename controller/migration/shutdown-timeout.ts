/** How long a guest is given to shut down. */

import { Fault } from "../../proto/fault.js";

const LONGEST_SECONDS = 86_400;

export function checkedShutdownTimeout(timeoutMs: number): number {
  if (timeoutMs <= LONGEST_SECONDS * 1000) return timeoutMs;
  throw new Fault("invalid-argument", `a guest cannot be given ${timeoutMs / 1000} s to shut down`, {
    need: `${LONGEST_SECONDS} s (a day) at most`,
  });
}
