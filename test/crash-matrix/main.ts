/**
 * `npm run crash-matrix [-- --only STEP] [--column NAME] [--json]`: every boundary of a migration × everything that can be
 * killed, on real hosts with real guests. A whole run writes docs/crash-matrix.md.
 *
 * `--parts FILE` joins several runs, for machines on which one would take too long; the page says what was not run.
 *
 * One lab serves all cells, and the server travels back and forth between its two hosts; after a cell that failed both are
 * made anew. The last line is `crash-matrix: N cells, F failed`.
 */

import { parseArgs } from "node:util";
import { NeverTwice } from "../lab/never-twice.js";
import { BOUNDARIES } from "./boundaries.js";
import { type CellResult, runCell } from "./cell.js";
import { FAULTS } from "./faults.js";
import { matrixLab } from "./matrix-lab.js";
import { isWhole, joined, type Run, summaryOf, writePage } from "./report.js";

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    column: { type: "string", multiple: true, default: [] },
    json: { type: "boolean", default: false },
    /** Joins the cells of several runs. */
    parts: { type: "string" },
    /** Leaves the lab of the first cell that fails. */
    stay: { type: "boolean", default: false },
  },
});

function chosen<Named extends { readonly name: string }>(
  all: readonly Named[],
  names: readonly string[],
): readonly Named[] {
  const unknown = names.find(name => !all.some(one => one.name === name));
  if (unknown !== undefined)
    throw new Error(`no "${unknown}" among: ${all.map(({ name }) => name).join(", ")}`);
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
}

const boundaries = chosen(BOUNDARIES, values.only);
const faults = chosen(FAULTS, values.column);
const startedMs = Date.now();
const results: CellResult[] = [];
let virtType = "";
const guard = new NeverTwice();
let { lab, traveller } = await matrixLab("crash-matrix");
try {
  virtType = await lab.virtType();
  for (const boundary of boundaries) {
    for (const fault of faults) {
      const result = await runCell(traveller, boundary, fault);
      results.push(result);
      const { outcome, seconds, problem } = result;
      process.stderr.write(`${boundary.name} × ${fault.name}: ${problem ?? outcome} (${seconds} s)\n`);
      for (const { msg, step = "", fault: why = "" } of result.story ?? [])
        process.stderr.write(`    ${msg} ${step} ${why}\n`);
      if (problem === undefined) continue;
      if (values.stay) throw new Error(`left as it is: LAB_ID=${lab.id}`);
      await lab.down();
      ({ lab, traveller } = await matrixLab("crash-matrix"));
    }
  }
} finally {
  if (!values.stay) {
    await lab.down();
  }
}
await guard[Symbol.asyncDispose]();

const run: Run = { cells: results, virtType, seconds: (Date.now() - startedMs) / 1000 };
const whole = values.parts === undefined ? run : await joined(values.parts, run);
if (isWhole(whole) || values.parts !== undefined) await writePage(whole);
if (values.json) process.stdout.write(`${JSON.stringify(run, undefined, 2)}\n`);
process.stdout.write(`${summaryOf(results)}\n`);
process.exitCode = results.every(({ problem }) => problem === undefined) ? 0 : 1;
