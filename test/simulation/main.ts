/**
 * `npm run sim -- [--seed N] [--seeds N] [--hosts N] [--transcript]`
 * `npm run sim -- --every-step [--stride N]`
 *
 * Runs seeds one after the other: those from `--seed` on, or fresh ones. A seed that fails prints its transcript and how
 * to run it again; the last line is the sum of all. With `--every-step` one migration is told over and over, struck at each
 * step of each daemon's work.
 */

import { parseArgs } from "node:util";
import { everyStrike, problemsOf } from "./every-step.js";
import { runSeed, type SeedResult } from "./run-seed.js";
import { watchUnhandledRejections } from "./unhandled.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "1" },
    hosts: { type: "string", default: "3" },
    transcript: { type: "boolean", default: false },
    "every-step": { type: "boolean", default: false },
    stride: { type: "string", default: "1" },
  },
});

watchUnhandledRejections(error => {
  process.stderr.write(`unhandled rejection: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 1;
});

const first = values.seed === undefined ? (Date.now() % 1_000_000) * 1_000 : Number(values.seed);
const count = Number(values.seeds);
const hosts = Number(values.hosts);
const print = (text: string) => process.stdout.write(`${text}\n`);

if (values["every-step"]) await strikeAtEveryStep(Number(values.stride));
else await runSeeds();

async function strikeAtEveryStep(stride: number): Promise<void> {
  const cases = await everyStrike(stride, first);
  let failed = 0;
  for (const strike of cases) {
    const problems = await problemsOf(strike);
    if (problems.length > 0) failed += 1;
    for (const problem of problems) print(problem);
  }
  print(`sim: ${cases.length} strikes, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

async function runSeeds(): Promise<void> {
  const usedBefore = process.cpuUsage();
  let [migrations, stuck, violations] = [0, 0, 0];
  for (let seed = first; seed < first + count; seed += 1) {
    const result = await runSeed(seed, { hosts, transcript: values.transcript });
    migrations += result.migrations;
    stuck += result.stuck;
    violations += result.violations.length;
    if (result.violations.length > 0) await explain(result);
    else if (values.transcript) print(result.transcript.join("\n"));
  }

  const { user, system } = process.cpuUsage(usedBefore);
  const seconds = (user + system) / 1_000_000;
  print(
    `${((count / seconds) * 60).toFixed(0)} seeds a minute of processor time, ${stuck} migrations stuck (visibly), first seed ${first}`,
  );
  print(`sim: ${count} seeds, ${migrations} migrations, ${violations} violations`);
  if (violations > 0) process.exitCode = 1;
}

async function explain({ seed, violations: found, transcript }: SeedResult): Promise<void> {
  const lines =
    transcript.length > 0 ? transcript : (await runSeed(seed, { hosts, transcript: true })).transcript;
  print(lines.join("\n"));
  for (const violation of found) print(`seed ${seed}: ${violation}`);
  print(`to see it again: npm run sim -- --seed ${seed} --hosts ${hosts} --transcript\n`);
}
