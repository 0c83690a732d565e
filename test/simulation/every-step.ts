/** The strikes of the universal proofs: every daemon, both blows, each step of a whole migration; all or a sample. */

import { type Blow, type Strike, tellStory, type Verdict, VICTIMS, type Victim } from "./story.js";

export interface Case extends Strike {
  readonly verdict: Verdict;
}

export const nameOf = ({ verdict, victim, blow, step }: Case): string =>
  `${verdict}, ${victim}, ${blow}, step ${step}`;

/** All of them, or every `stride`th from an offset on. */
export async function everyStrike(stride: number, offset: number): Promise<Case[]> {
  const cases: Case[] = [];
  for (const verdict of ["confirm", "revert"] as const) {
    const { steps } = await tellStory(verdict);
    for (const victim of Object.keys(VICTIMS) as Victim[])
      for (const blow of ["kill", "power-cut"] as const satisfies readonly Blow[])
        for (let step = offset % stride; step < steps[victim]; step += stride)
          cases.push({ verdict, victim, blow, step });
  }
  return cases;
}

/**
 * What is wrong with how it ended; empty when nothing is. A migration ends as it was asked to, unless it was given up
 * before its guest was stopped, or its guest went down with its host.
 */
export async function problemsOf(strike: Case): Promise<string[]> {
  const { status, violations, hasStopped } = await tellStory(strike.verdict, strike);
  const wanted = strike.verdict === "confirm" ? "confirmed" : "reverted";
  const lostItsGuest = strike.victim === "source" && strike.blow === "power-cut";
  const isGivenUp = status === "error" && (!hasStopped || lostItsGuest);
  const problems = status === wanted || isGivenUp ? [] : [`it ended ${status || "nowhere"}, not ${wanted}`];
  return [...problems, ...violations].map(problem => `${nameOf(strike)}: ${problem}`);
}
