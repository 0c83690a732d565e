/** Runs the simulation without one guard of the product after the other, each in a process of its own, until it is noticed. */

import { spawnSync } from "node:child_process";
import { GUARDS } from "./guards.mjs";

const LIMIT_MS = 600_000;
const REGISTER = new URL("./edges/register.mjs", import.meta.url).href;
const MAIN = new URL("./main.ts", import.meta.url).pathname;

/** Bounded by cases, not by time: what is noticed does not depend on how busy the machine is. */
const EVERYWHERE = [
  ["--every-step", "--stride", "173", "--seed", "1", "--until-failure"],
  ["--seed", "1", "--seeds", "100", "--until-failure"],
];

/** `only`: words of the guards' names. */
export async function tryGuards(only: string, print: (line: string) => void): Promise<void> {
  const guards = GUARDS.filter(({ name }) => name.includes(only));
  let unnoticed = 0;
  for (const { name, strikes } of guards) {
    const attempts =
      strikes === undefined
        ? EVERYWHERE
        : [["--every-step", "--only", strikes, "--seed", "1", "--until-failure"]];
    const symptom = attempts.map(attempt => symptomWithout(name, attempt)).find(found => found !== undefined);
    if (symptom === undefined) unnoticed += 1;
    print(`without ${name}: ${symptom ?? "NOT NOTICED"}`);
  }
  print(`sim: ${guards.length} guards, ${unnoticed} not noticed`);
  if (unnoticed > 0) process.exitCode = 1;
}

function symptomWithout(name: string, attempt: readonly string[]): string | undefined {
  const { stdout, stderr, status, signal } = spawnSync(
    process.execPath,
    ["--import", REGISTER, MAIN, ...attempt],
    {
      env: { ...process.env, SIM_WITHOUT: name },
      encoding: "utf8",
      timeout: LIMIT_MS,
      maxBuffer: 256 * 1024 * 1024,
    },
  );
  if (status === 0) return undefined;
  if (signal !== null) throw new Error(`without ${name}: not found out in ten minutes`);
  const symptom = stdout.split("\n").find(line => /^(seed \d+: |(migrate|resize)[\w-]*, )/.test(line));
  // It may not even have been loaded.
  if (symptom === undefined) throw new Error(`without ${name}: ${stderr}`);
  return symptom;
}
