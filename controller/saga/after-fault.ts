/**
 * What follows a failed attempt. A step that may be taken back gives up when repeating is pointless or has taken too
 * long; where nothing goes back, it is repeated for ever and only becomes visibly stuck, or waits for a person when
 * the answer was a plain no.
 */

import type { Fault } from "../../proto/fault.js";

export interface Attempts {
  readonly fault: Fault;
  /** Attempts so far, this one included. */
  readonly count: number;
  /** Since the first of them. */
  readonly elapsedMs: number;
  readonly limitMs: number;
  /** It may be unwound without a person. */
  readonly canUnwind: boolean;
  /** In [0, 1). */
  readonly random: number;
}

export type AfterFault =
  | { readonly kind: "again"; readonly delayMs: number; readonly isStuck: boolean }
  | { readonly kind: "unwind" }
  /** Stuck until a person has looked. */
  | { readonly kind: "park" };

/** A definite failure is given this many chances: the next attempt may find a calmer host. */
const DEFINITE_ATTEMPTS = 3;
const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = { canUnwind: 5_000, cannot: 30_000 };

export function afterFault(attempts: Attempts): AfterFault {
  const { fault, count, elapsedMs, limitMs, canUnwind } = attempts;
  const isExhausted = fault.isUnknown ? elapsedMs >= limitMs : count >= DEFINITE_ATTEMPTS;
  if (fault.retry === "never") return canUnwind ? { kind: "unwind" } : { kind: "park" };
  if (canUnwind && isExhausted) return { kind: "unwind" };
  return { kind: "again", delayMs: delayMs(attempts), isStuck: isExhausted };
}

/** Doubles up to a ceiling; the upper half is random, so that many sagas do not call at once. */
function delayMs({ count, canUnwind, random }: Attempts): number {
  const longest = canUnwind ? LONGEST_DELAY_MS.canUnwind : LONGEST_DELAY_MS.cannot;
  const ceiling = Math.min(longest, FIRST_DELAY_MS * 2 ** Math.min(count - 1, 20));
  return Math.round(ceiling * (0.5 + random / 2));
}
