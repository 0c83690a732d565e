/** Changes as a table: who asked for what, and what came of it. */

import type { Change } from "../../proto/gen/ferry/v1/controller.js";
import type { Column } from "./table.js";
import { formatTime } from "./units.js";

export const CHANGE_COLUMNS: readonly Column<Change>[] = [
  { title: "Time", value: ({ atMs }) => formatTime(atMs) },
  { title: "By", value: ({ requestedBy }) => requestedBy },
  { title: "Change", value: ({ method }) => method },
  { title: "Of", value: ({ subject }) => subject || "-" },
  { title: "Asked", value: ({ asked }) => asked },
  { title: "Result", value: resultOf },
];

function resultOf({ endedAtMs, fault }: Change): string {
  if (fault !== undefined) return fault.message;
  return endedAtMs === 0 ? "not known" : "done";
}
