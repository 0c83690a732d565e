/**
 * A migration's journal told in the names of Nova's versioned notifications. Several steps are one chapter:
 *
 *   scheduler.select_destinations · instance.resize_prep · instance.resize · instance.resize_finish   .start … .end
 *   instance.resize_confirm, instance.resize_revert                                                  .start … .end
 *   instance.resize.error, compute_task.migrate_server.error                                         it is taken back
 *
 * What Nova has no name for: migration.unwound (everything is as it was), .stuck, .resumed, .told, .note.
 */

import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import type { SagaState } from "../saga/fold.js";
import type { Line } from "../saga/journal-line.js";

export interface Notice {
  readonly type: string;
  readonly side: "controller" | "source" | "target";
  readonly message: string;
  readonly fault: FaultInfo | undefined;
}

type Named = Pick<Notice, "type" | "side">;

/** Where a chapter begins. */
const BEGUN: Readonly<Record<string, Named>> = {
  "select-target": { type: "scheduler.select_destinations.start", side: "controller" },
  "prepare-target": { type: "instance.resize_prep.start", side: "target" },
  "stop-source": { type: "instance.resize.start", side: "source" },
  "prepare-disks": { type: "instance.resize_finish.start", side: "target" },
};

/** Where one ends; the last ends with the verify window. */
const DONE: Readonly<Record<string, Named>> = {
  "select-target": { type: "scheduler.select_destinations.end", side: "controller" },
  "prepare-target": { type: "instance.resize_prep.end", side: "target" },
  "copy-disks": { type: "instance.resize.end", side: "source" },
};

/** Undefined for a line that nobody is told of. */
export function noticeOf(state: SagaState, line: Line): Notice | undefined {
  const said = sayingOf(state, line);
  return said && { message: "", fault: undefined, ...said };
}

function sayingOf(state: SagaState, line: Line): (Named & Partial<Notice>) | undefined {
  switch (line.kind) {
    case "begun":
      return BEGUN[line.step];
    case "done":
      return DONE[line.step];
    case "waiting":
      return { type: "instance.resize_finish.end", side: "target" };
    case "verdict":
      return line.verdict === "confirm"
        ? { type: "instance.resize_confirm.start", side: "source" }
        : { type: "instance.resize_revert.start", side: "target" };
    case "unwinding":
      return { type: errorAt(line.step), side: "controller", fault: line.cause };
    case "stuck":
      return { type: "migration.stuck", side: "controller", message: line.step, fault: line.fault };
    case "resumed":
      return { type: "migration.resumed", side: "controller", message: `by ${line.by}` };
    case "told":
      return { type: "migration.told", side: "controller", message: `by ${line.by}` };
    case "ended":
      return endingOf(state);
    default:
      return undefined;
  }
}

/** Before a target was chosen it is Nova's conductor that has failed. */
const errorAt = (step: string): string =>
  step === "claim-server" || step === "select-target"
    ? "compute_task.migrate_server.error"
    : "instance.resize.error";

function endingOf({ byPerson, cause }: SagaState): Named & Partial<Notice> {
  if (byPerson) return { type: "instance.resize_revert.end", side: "source" };
  if (cause === undefined) return { type: "instance.resize_confirm.end", side: "source" };
  return { type: "migration.unwound", side: "source", fault: cause };
}
