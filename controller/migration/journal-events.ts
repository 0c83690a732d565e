/**
 * A migration's journal told in Nova's events: several steps are one event of one host.
 *
 *   move     cold_migrate · compute_prep_resize (target) · compute_resize_instance (source) · compute_finish_resize (target)
 *   confirm  compute_confirm_resize (source)
 *   revert   compute_revert_resize (target) · compute_finish_revert_resize (source)
 */

import type { Entry } from "../saga/journal-line.js";

export interface StoryEvent {
  readonly event: string;
  readonly side: "controller" | "source" | "target";
  readonly startedAtMs: number;
  /** 0 while it goes on. */
  readonly finishedAtMs: number;
  /** Success | Error; empty while it goes on. */
  readonly result: string;
  readonly details: string;
}

interface Chapter {
  readonly event: string;
  readonly side: StoryEvent["side"];
  /** In the order in which they are carried out, or taken back. */
  readonly steps: readonly string[];
}

const MOVE: readonly Chapter[] = [
  { event: "cold_migrate", side: "controller", steps: ["claim-server", "select-target"] },
  { event: "compute_prep_resize", side: "target", steps: ["prepare-target"] },
  { event: "compute_resize_instance", side: "source", steps: ["stop-source", "fence-source", "copy-disks"] },
  {
    event: "compute_finish_resize",
    side: "target",
    steps: ["prepare-disks", "connect-target", "define-target", "create-target", "release-target"],
  },
];
const CONFIRM: readonly Chapter[] = [
  { event: "compute_confirm_resize", side: "source", steps: ["retire-source", "release"] },
];
const REVERT: readonly Chapter[] = [
  {
    event: "compute_revert_resize",
    side: "target",
    steps: ["release-target", "create-target", "define-target", "connect-target", "prepare-disks"],
  },
  {
    event: "compute_finish_revert_resize",
    side: "source",
    steps: ["copy-disks", "fence-source", "stop-source", "prepare-target", "select-target", "claim-server"],
  },
];

/** The events of the move itself, or of what was decided after it. */
export function journalEvents(entries: readonly Entry[], verdict?: "confirm" | "revert"): StoryEvent[] {
  const decided = entries.findIndex(({ line }) => line.kind === "verdict");
  if (verdict === undefined) return tell(MOVE, decided < 0 ? entries : entries.slice(0, decided));
  return tell(verdict === "confirm" ? CONFIRM : REVERT, decided < 0 ? [] : entries.slice(decided));
}

function tell(chapters: readonly Chapter[], entries: readonly Entry[]): StoryEvent[] {
  // An unwinding that nobody decided is how a failed move ends, no event of its own.
  const turned = entries.findIndex(({ line }) => line.kind === "unwinding");
  const told = turned < 0 ? entries : entries.slice(0, turned + 1);
  return chapters.flatMap(chapter => {
    const own = told.filter(
      ({ line }) => "step" in line && line.kind !== "tidied" && chapter.steps.includes(line.step),
    );
    const [first] = own;
    return first === undefined ? [] : [eventOf(chapter, first.atMs, own)];
  });
}

function eventOf({ event, side, steps }: Chapter, startedAtMs: number, own: readonly Entry[]): StoryEvent {
  const last = own.at(-1);
  const base = { event, side, startedAtMs, details: "" };
  const line = last?.line;
  if (last !== undefined && line?.kind === "unwinding")
    return { ...base, finishedAtMs: last.atMs, result: "Error", details: line.cause.message };
  const isOver = (line?.kind === "done" || line?.kind === "undone") && line.step === steps.at(-1);
  return last !== undefined && isOver
    ? { ...base, finishedAtMs: last.atMs, result: "Success" }
    : { ...base, finishedAtMs: 0, result: "" };
}
