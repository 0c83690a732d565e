/** What became of the files of a receipt, as a table and in one sentence. */

import type { FileVerdict } from "../../proto/gen/ferry/v1/model.js";
import type { Column } from "./table.js";

export const VERDICT_COLUMNS: readonly Column<FileVerdict>[] = [
  { title: "File", value: ({ id }) => id },
  { title: "Path", value: ({ path }) => path },
  { title: "Verdict", value: ({ outcome }) => outcome },
  { title: "Digest", value: ({ algorithm, expected }) => digestText(algorithm, expected) },
  { title: "Read", value: ({ readBack }) => readBack },
  { title: "Reason", value: ({ reason }) => reason },
];

const digestText = (algorithm: string, digest: string): string =>
  algorithm === "" ? "" : `${algorithm}:${digest.slice(0, 16)}…`;

export function verdictSummary(host: string, verdicts: readonly FileVerdict[]): string {
  const count = (...outcomes: string[]) =>
    verdicts.filter(({ outcome }) => outcomes.includes(outcome)).length;
  const [wrong, open] = [count("differs", "missing"), count("changed", "in-use", "unread")];
  if (wrong > 0) return `NOT as received: ${files(wrong)} on ${host} differ from the receipt`;
  if (open > 0) return `Not proven: of ${files(open)} on ${host} it cannot be told`;
  return `As received: ${files(count("equal"))} on ${host} equal the receipt`;
}

const files = (count: number): string => (count === 1 ? "1 file" : `${count} files`);
