/** The strikes of the universal proofs: every saga, every kind of blow, each place where it can fall; all or a sample. */

import { isRefused, type Tale, tellStory } from "./story.js";
import { BLOWS, type Strike, VICTIMS, type Victim } from "./strike.js";
import type { Random } from "./world/random.js";

export interface Case extends Strike {
  readonly tale: Tale;
}

export const nameOf = ({ tale: { kind, ending }, victim, blow, place, later }: Case): string =>
  `${kind}, ${ending}, ${victim}, ${blow}, place ${place}${blow === "come-late" ? `, ${later ?? "last"}` : ""}`;

const KINDS = [
  "migrate",
  "migrate-from-device",
  "resize",
  "resize-in-place",
] as const satisfies readonly Tale["kind"][];
const ENDINGS = [
  "confirm",
  "revert",
  "delete",
  "auto-confirm",
  "cancel",
  "others-fill-up",
  "cancelled",
  "reached-after-all",
] as const satisfies readonly Tale["ending"][];

/** What comes late comes before the first, second, … request that follows, or after the end. */
const LATER = [1, 2, 3, 4, 5, 6, 8, undefined];

interface Selection {
  /** Every so many of them, … */
  readonly stride: number;
  /** … from here on. */
  readonly offset: number;
  /** Words that the name of a case must have, all of them. */
  readonly only?: readonly string[];
  /** Of every saga, blow and step only so much: one place, drawn from these. */
  readonly sample?: Random | undefined;
}

export async function everyStrike({ stride, offset, only = [], sample }: Selection): Promise<Case[]> {
  const cases: Case[] = [];
  for (const kind of KINDS)
    for (const ending of ENDINGS)
      if (mayBe({ kind, ending }, only)) cases.push(...(await strikesAt({ kind, ending }, sample)));
  const chosen = cases.filter(one => only.every(word => nameOf(one).includes(word)));
  return chosen.filter((_, index) => index % stride === offset % stride);
}

/** Told only if some case of it could be meant: to find out where strikes can fall takes a whole migration. */
const mayBe = ({ kind, ending }: Tale, only: readonly string[]): boolean =>
  !(kind === "resize-in-place" && needsOthers(ending)) &&
  // Nothing of it depends on the flavor, and it is a whole migration.
  !(kind === "resize" && ending === "reached-after-all") &&
  !only.some(
    word =>
      (KINDS.some(other => word === `${other},`) && word !== `${kind},`) ||
      (ENDINGS.some(other => word === `${other},`) && word !== `${ending},`),
  );

/** On one host there is no link that breaks, and no other target. */
const needsOthers = (ending: Tale["ending"]): boolean => ending === "cancel" || isRefused(ending);

async function strikesAt(tale: Tale, sample: Random | undefined): Promise<Case[]> {
  const { places, turns } = await tellStory(tale);
  const cases: Case[] = [];
  for (const victim of Object.keys(VICTIMS) as Victim[])
    for (const blow of BLOWS) {
      const count = places[victim][blow];
      const all = Array.from({ length: count }, (_, place) => place);
      const ends = [...turns.map(turn => turn[victim][blow]), count];
      for (const place of sample === undefined ? all : onePerStep(ends, sample))
        for (const later of blow !== "come-late"
          ? [undefined]
          : sample === undefined
            ? LATER
            : [LATER[sample.between(0, LATER.length - 1)]])
          cases.push({ tale, victim, blow, place, ...(later === undefined ? {} : { later }) });
    }
  return cases;
}

/** One of the places of each step that has any; `ends`: how many there were when each step ended. */
function onePerStep(ends: readonly number[], random: Random): number[] {
  const steps = ends.map((end, index) => ({ from: ends[index - 1] ?? 0, end }));
  return steps.filter(({ from, end }) => end > from).map(({ from, end }) => random.between(from, end - 1));
}

const WANTED = {
  confirm: "confirmed",
  "auto-confirm": "confirmed",
  delete: "confirmed",
  revert: "reverted",
  cancel: "error",
  "others-fill-up": "error",
  cancelled: "error",
  "reached-after-all": "confirmed",
} as const;

/**
 * What is wrong with how it ended; empty when nothing is. A migration ends as it was asked to, unless it was given up
 * before its guest was stopped, or by a person, or its guest went down with its host.
 */
export async function problemsOf(strike: Case): Promise<string[]> {
  const { status, violations, hasStopped } = await tellStory(strike.tale, strike).catch(brokenOff);
  const wanted = WANTED[strike.tale.ending];
  const lostItsGuest = strike.victim === "source" && strike.blow === "power-cut";
  const isByPerson = strike.blow === "come-late" || strike.blow === "resume";
  const isGivenUp = status === "error" && (!hasStopped || lostItsGuest || isByPerson);
  const isTakenBack = status === "reverted" && strike.blow === "resume";
  // The one that was to refuse was struck before it could, and another one taken.
  const isElsewhere = status === "confirmed" && isRefused(strike.tale.ending);
  const problems =
    status === wanted || isGivenUp || isTakenBack || isElsewhere
      ? []
      : [`it ended ${status || "nowhere"}, not ${wanted}`];
  return [...problems, ...violations].map(problem => `${nameOf(strike)}: ${problem}`);
}

/** Somebody could not go on: what a person asked for was refused for good, for instance. */
const brokenOff = (error: unknown) => ({ status: "", violations: [String(error)], hasStopped: true });
