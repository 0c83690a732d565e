/**
 * `npm run sim -- [--seed N] [--seeds N] [--hosts N] [--jobs N] [--transcript]`
 * `npm run sim -- --every-step [--sample] [--only WORDS] [--stride N]`
 * `npm run sim -- --guards [--only WORDS]`
 *
 * Runs seeds one after the other, on all processors: those from `--seed` on, or fresh ones. A seed that fails prints its
 * transcript and how to run it again; the last line is the sum of all. With `--every-step` one migration is told over and over, struck at each
 * place where something can go wrong (`--only "resize revert come-late"`: some of them). With `--guards` the product runs without one of its guards after the other, until that is noticed.
 * `--until-failure` ends with the first thing that is wrong.
 */

import { availableParallelism } from "node:os";
import { readCommandLine, wholeNumber } from "../command-line.js";
import { everyStrike, problemsOf } from "./every-step.js";
import { runSeed, type SeedResult } from "./run-seed.js";
import { added, NO_SUMS, type Sums, shareSeeds } from "./share-work.js";
import { tryGuards } from "./try-guards.js";
import { watchUnhandledRejections } from "./unhandled.js";
import { Random } from "./world/random.js";

const HELP = `npm run sim                    one seed of the simulated fleet, or
  --seeds N                    so many, fresh ones or those from --seed on (1)
  --seed N                     the first of them: the same seed is the same run
  --hosts N                    so many hosts (3)
  --jobs N                     in so many processes (one for each processor)
  --transcript                 with all that happened
npm run sim -- --every-step    one migration, over and over, struck at each place
  --stride N                   at every so many places only (1)
  --sample                     at one place of each saga, step and blow, drawn from --seed
  --only "WORDS"               where the strike's name has them all: "resize, revert, come-late"
npm run sim -- --guards        the product without one of its guards after the other
  --only "WORDS"               where the guard's name has them
Anywhere: --until-failure      ends with the first thing that is wrong
`;

const values = readCommandLine(HELP, {
  seed: { type: "string" },
  seeds: { type: "string", default: "1" },
  hosts: { type: "string", default: "3" },
  jobs: { type: "string", default: `${availableParallelism()}` },
  /** For whoever adds them up. */
  sums: { type: "boolean", default: false },
  transcript: { type: "boolean", default: false },
  "every-step": { type: "boolean", default: false },
  stride: { type: "string", default: "1" },
  sample: { type: "boolean", default: false },
  only: { type: "string", default: "" },
  guards: { type: "boolean", default: false },
  "until-failure": { type: "boolean", default: false },
});
const numberOf = (name: "seed" | "seeds" | "hosts" | "jobs" | "stride", least: number) =>
  wholeNumber(HELP, name, values[name] ?? "", least);

watchUnhandledRejections(error => {
  process.stderr.write(`unhandled rejection: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 1;
});

const first = values.seed === undefined ? (Date.now() % 1_000_000) * 1_000 : numberOf("seed", 0);
const count = numberOf("seeds", 1);
const hosts = numberOf("hosts", 2);
const print = (text: string) => process.stdout.write(`${text}\n`);

if (values.guards) await tryGuards(values.only, print);
else if (values["every-step"]) await strikeAtEveryStep();
else await runSeeds();

async function strikeAtEveryStep(): Promise<void> {
  const only = values.only.split(" ").filter(word => word !== "");
  const sample = values.sample ? new Random(first) : undefined;
  const all = await everyStrike({
    stride: numberOf("stride", 1),
    offset: values.sample ? 0 : first,
    only,
    sample,
  });
  const cases = shuffled(all, new Random(first));
  let failed = 0;
  for (const strike of cases) {
    const problems = await problemsOf(strike);
    if (problems.length > 0) failed += 1;
    for (const problem of problems) print(problem);
    if (failed > 0 && values["until-failure"]) break;
  }
  if (values.sample) print(`one of each saga, blow and step, drawn from seed ${first}`);
  print(`sim: ${cases.length} strikes, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

/** So that what fails early does not only strike early. */
function shuffled<T>(all: readonly T[], random: Random): T[] {
  const drawn = all.map(one => ({ one, at: random.next() }));
  return drawn.toSorted((a, b) => a.at - b.at).map(({ one }) => one);
}

async function runSeeds(): Promise<void> {
  const jobs = values.transcript || values["until-failure"] ? 1 : Math.min(numberOf("jobs", 1), count);
  const sums =
    jobs > 1 ? await shareSeeds({ first, count, jobs }, ["--hosts", `${hosts}`], print) : await runShare();
  if (values.sums) {
    print(`sums: ${JSON.stringify(sums)}`);
    return;
  }
  const { seeds, migrations, stuck, violations, cpuSeconds } = sums;
  const perMinute = ((seeds / cpuSeconds) * 60).toFixed(0);
  print(
    `${perMinute} seeds a minute of processor time, ${stuck} migrations stuck (visibly), first seed ${first}`,
  );
  print(`sim: ${seeds} seeds, ${migrations} migrations, ${violations} violations`);
  if (violations > 0) process.exitCode = 1;
}

/** In this process. */
async function runShare(): Promise<Sums> {
  // Refusals are frequent, and where each came from is asked of a seed that failed, when it runs once more.
  if (!values.transcript) Error.stackTraceLimit = 0;
  const usedBefore = process.cpuUsage();
  let sums: Sums = { ...NO_SUMS };
  for (let seed = first; seed < first + count; seed += 1) {
    const result = await runSeed(seed, { hosts, transcript: values.transcript });
    const { migrations, stuck, violations } = result;
    sums = added(sums, { seeds: 1, migrations, stuck, violations: violations.length, cpuSeconds: 0 });
    if (violations.length > 0) await explain(result);
    else if (values.transcript) print(result.transcript.join("\n"));
    if (violations.length > 0 && values["until-failure"]) break;
  }
  const { user, system } = process.cpuUsage(usedBefore);
  return { ...sums, cpuSeconds: (user + system) / 1_000_000 };
}

async function explain(failed: SeedResult): Promise<void> {
  const { seed } = failed;
  Error.stackTraceLimit = 20;
  const { transcript, violations } = values.transcript
    ? failed
    : await runSeed(seed, { hosts, transcript: true });
  if (!values.transcript) Error.stackTraceLimit = 0;
  print(transcript.join("\n"));
  for (const violation of violations) print(`seed ${seed}: ${violation}`);
  if (violations.length === 0)
    print(`seed ${seed}: not the same when it ran again: ${failed.violations.join("; ")}`);
  print(`to see it again: npm run sim -- --seed ${seed} --hosts ${hosts} --transcript\n`);
}
