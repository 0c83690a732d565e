/** Runs the simulation without one guard of the product after the other, each in a process of its own, until it is noticed. */

import { spawnSync } from "node:child_process";
import { GUARDS } from "./guards.mjs";

const LIMIT_MS = 180_000;
const REGISTER = new URL("./edges/register.mjs", import.meta.url).href;
const MAIN = new URL("./main.ts", import.meta.url).pathname;

const ATTEMPTS = [
  ["--every-step", "--stride", "31", "--seed", "1", "--until-failure"],
  ["--seed", "1", "--seeds", "60", "--until-failure"],
];

export async function tryGuards(print: (line: string) => void): Promise<void> {
  let unnoticed = 0;
  for (const { name } of GUARDS) {
    const symptom = ATTEMPTS.map(attempt => symptomWithout(name, attempt)).find(found => found !== undefined);
    if (symptom === undefined) unnoticed += 1;
    print(`without ${name}: ${symptom ?? "NOT NOTICED"}`);
  }
  print(`sim: ${GUARDS.length} guards, ${unnoticed} not noticed`);
  if (unnoticed > 0) process.exitCode = 1;
}

function symptomWithout(name: string, attempt: readonly string[]): string | undefined {
  const { stdout, status, signal } = spawnSync(process.execPath, ["--import", REGISTER, MAIN, ...attempt], {
    env: { ...process.env, SIM_WITHOUT: name },
    encoding: "utf8",
    timeout: LIMIT_MS,
    maxBuffer: 256 * 1024 * 1024,
  });
  if (status === 0 || signal !== null) return undefined;
  const lines = stdout.split("\n");
  return (
    lines.find(line => /^(seed \d+: |(confirm|revert), )/.test(line)) ??
    lines.at(-2) ??
    "it ended with an error"
  );
}
