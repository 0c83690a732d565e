/**
 * `npm run sim -- [--seed N] [--seeds N] [--hosts N] [--transcript]`
 * `npm run sim -- --every-step [--stride N]`
 * `npm run sim -- --guards`
 *
 * Runs seeds one after the other: those from `--seed` on, or fresh ones. A seed that fails prints its transcript and how
 * to run it again; the last line is the sum of all. With `--every-step` one migration is told over and over, struck at each
 * step of each daemon's work. With `--guards` the product runs without one of its guards after the other, until that is noticed.
 * `--until-failure` ends with the first thing that is wrong.
 */

import { parseArgs } from "node:util";
import { everyStrike, problemsOf } from "./every-step.js";
import { runSeed, type SeedResult } from "./run-seed.js";
import { tryGuards } from "./try-guards.js";
import { watchUnhandledRejections } from "./unhandled.js";
import { Random } from "./world/random.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "1" },
    hosts: { type: "string", default: "3" },
    transcript: { type: "boolean", default: false },
    "every-step": { type: "boolean", default: false },
    stride: { type: "string", default: "1" },
    guards: { type: "boolean", default: false },
    "until-failure": { type: "boolean", default: false },
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

if (values.guards) await tryGuards(print);
else if (values["every-step"]) await strikeAtEveryStep(Number(values.stride));
else await runSeeds();

async function strikeAtEveryStep(stride: number): Promise<void> {
  const cases = shuffled(await everyStrike(stride, first), new Random(first));
  let failed = 0;
  for (const strike of cases) {
    const problems = await problemsOf(strike);
    if (problems.length > 0) failed += 1;
    for (const problem of problems) print(problem);
    if (failed > 0 && values["until-failure"]) break;
  }
  print(`sim: ${cases.length} strikes, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

/** So that what fails early does not only strike early. */
function shuffled<T>(all: readonly T[], random: Random): T[] {
  const drawn = all.map(one => ({ one, at: random.next() }));
  return drawn.toSorted((a, b) => a.at - b.at).map(({ one }) => one);
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
    if (violations > 0 && values["until-failure"]) break;
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
