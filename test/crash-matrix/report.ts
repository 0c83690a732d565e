/** docs/crash-matrix.md, as the command has seen it. */

import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BOUNDARIES } from "./boundaries.js";
import type { CellResult } from "./cell.js";
import { FAULTS } from "./faults.js";

const PAGE = join(import.meta.dirname, "../../docs/crash-matrix.md");

export interface Run {
  readonly cells: readonly CellResult[];
  readonly virtType: string;
  readonly seconds: number;
}

export const summaryOf = (cells: readonly CellResult[]): string =>
  `crash-matrix: ${cells.length} cells, ${cells.filter(({ problem }) => problem !== undefined).length} failed`;

/** What the file holds of earlier runs, with this one's cells in place of theirs; written back. */
export async function joined(file: string, run: Run): Promise<Run> {
  const before: Run | undefined = existsSync(file) ? JSON.parse(await readFile(file, "utf8")) : undefined;
  const isAgain = ({ boundary, fault }: CellResult) =>
    run.cells.some(one => one.boundary === boundary && one.fault === fault);
  const both: Run = {
    virtType: run.virtType,
    cells: [...(before?.cells ?? []).filter(cell => !isAgain(cell)), ...run.cells],
    seconds: (before?.seconds ?? 0) + run.seconds,
  };
  await writeFile(file, JSON.stringify(both));
  return both;
}

export const isWhole = ({ cells }: Run): boolean => cells.length === BOUNDARIES.length * FAULTS.length;

export const writePage = (run: Run): Promise<void> => writeFile(PAGE, pageOf(run));

function pageOf({ cells: results, virtType, seconds }: Run): string {
  const rows = BOUNDARIES.map(({ name }) => {
    const cells = FAULTS.map(fault =>
      cellOf(results.find(one => one.boundary === name && one.fault === fault.name)),
    );
    return `| ${name} | ${cells.join(" | ")} |`;
  });
  const problems = results.filter(({ problem }) => problem !== undefined);
  return `# The crash matrix

Written by \`npm run crash-matrix\`; not edited. A real guest on real libvirt hosts is migrated to each boundary (row) and held there
while one thing is killed (column); then everything goes on. A cell tells how the migration ended **by itself**. That must be as if
nothing had been killed, and afterwards, seen from outside Ferry,

- exactly one host has the server, it runs there or can be started, and its guest finds every byte that it ever wrote and flushed;
- no other host could start it, and none holds a file, a claim, a row of the journal or a start token of the migration;
- it is booked once.

The row is the step whose beginning was the last thing made durable; in *mid-copy* some of the disks had arrived. Hosts' disks forget in
a power cut what was not flushed to them, and each cut is seen to lose something. A fault that did not strike at its boundary fails its cell.

*confirmed*: on the target; *reverted*: back, by request. Seconds are those of the whole cell, boots included.

| at | ${FAULTS.map(({ name }) => name).join(" | ")} |
|---|${FAULTS.map(() => "---").join("|")}|
${rows.join("\n")}
${problems.map(({ boundary, fault, problem }) => `\n- **${boundary}, ${fault}**: ${oneLine(problem ?? "")}`).join("")}
${summaryOf(results)}, in ${Math.round(seconds / 60)} minutes, guests under \`${virtType}\`.
`;
}

function cellOf(result: CellResult | undefined): string {
  if (result === undefined) return "not run";
  return result.problem === undefined ? `${result.outcome} ${Math.round(result.seconds)} s` : "**failed**";
}

const oneLine = (text: string): string => text.split("\n").slice(0, 3).join(" ").slice(0, 300);
