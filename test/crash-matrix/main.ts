/**
 * `npm run crash-matrix [-- --only STEP] [--column NAME] [--json]`: every boundary of a migration × everything that can be
 * killed, on real hosts with real guests. A whole run writes docs/crash-matrix.md.
 *
 * `--parts FILE` joins several runs, for machines on which one would take too long; the page says what was not run.
 *
 * Each of `--labs N` labs (one for each processor) serves one cell after the other, and its server travels back and forth
 * between its two hosts; after a cell that failed both are made anew. The last line is `crash-matrix: N cells, F failed`.
 */

import { availableParallelism } from "node:os";
import { readCommandLine, refuse, wholeNumber } from "../command-line.js";
import { NeverTwice } from "../lab/never-twice.js";
import { BOUNDARIES } from "./boundaries.js";
import { type CellResult, runCell } from "./cell.js";
import { FAULTS } from "./faults.js";
import { matrixLab } from "./matrix-lab.js";
import { isWhole, joined, type Run, summaryOf, writePage } from "./report.js";

const HELP = `npm run crash-matrix     every boundary of a migration × everything that can be killed; writes docs/crash-matrix.md
  --only STEP            at this boundary, or at these
  --column NAME          this fault, or these
  --labs N               in so many labs at a time (one for each processor)
  --parts FILE           joins the cells of several runs
  --json                 the cells as JSON
  --stay                 leaves the lab of the first cell that fails as it is
`;

const values = readCommandLine(HELP, {
  only: { type: "string", multiple: true, default: [] },
  column: { type: "string", multiple: true, default: [] },
  json: { type: "boolean", default: false },
  parts: { type: "string" },
  labs: { type: "string", default: String(availableParallelism()) },
  stay: { type: "boolean", default: false },
});

function chosen<Named extends { readonly name: string }>(
  all: readonly Named[],
  names: readonly string[],
): readonly Named[] {
  const unknown = names.find(name => !all.some(one => one.name === name));
  if (unknown !== undefined) refuse(HELP, `no "${unknown}" among: ${all.map(({ name }) => name).join(", ")}`);
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
}

const labCount = wholeNumber(HELP, "labs", values.labs, 1);
const waiting = chosen(BOUNDARIES, values.only).flatMap(boundary =>
  chosen(FAULTS, values.column).map(fault => ({ boundary, fault })),
);
const startedMs = Date.now();
const results: CellResult[] = [];
let virtType = "";

/** One lab, as long as there are cells. */
async function serve(id: string): Promise<void> {
  let { lab, traveller } = await matrixLab(id);
  try {
    virtType = await lab.virtType();
    for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) {
      const result = await runCell(traveller, cell.boundary, cell.fault);
      results.push(result);
      tell(result);
      if (result.problem === undefined) continue;
      if (values.stay) throw new Error(`left as it is: LAB_ID=${lab.id}`);
      await lab.down();
      ({ lab, traveller } = await matrixLab(id));
    }
  } finally {
    if (!values.stay) await lab.down();
  }
}

function tell({ boundary, fault, outcome, seconds, problem, story = [] }: CellResult): void {
  process.stderr.write(`${boundary} × ${fault}: ${problem ?? outcome} (${seconds} s)\n`);
  for (const { msg, step = "", fault: why = "" } of story)
    process.stderr.write(`    ${msg} ${step} ${why}\n`);
}

const guard = new NeverTwice();
const labs = Array.from(
  { length: Math.min(labCount, waiting.length) },
  (_, index) => `crash-matrix-${index + 1}`,
);
const ends = await Promise.allSettled(labs.map(serve));
await guard[Symbol.asyncDispose]();
for (const end of ends) if (end.status === "rejected") throw end.reason;

const run: Run = { cells: results, virtType, seconds: (Date.now() - startedMs) / 1000 };
const whole = values.parts === undefined ? run : await joined(values.parts, run);
if (isWhole(whole) || values.parts !== undefined) await writePage(whole);
if (values.json) process.stdout.write(`${JSON.stringify(run, undefined, 2)}\n`);
process.stdout.write(`${summaryOf(results)}\n`);
process.exitCode = results.every(({ problem }) => problem === undefined) ? 0 : 1;
