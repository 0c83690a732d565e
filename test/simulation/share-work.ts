/**
 * Seeds shared among processes of their own, one for each processor: what a seed does depends on nothing but itself. What a
 * process says of a seed that failed comes out whole; the sums are added up.
 */

import { spawn } from "node:child_process";

const REGISTER = new URL("./edges/register.mjs", import.meta.url).href;
const MAIN = new URL("./main.ts", import.meta.url).pathname;

export interface Sums {
  seeds: number;
  migrations: number;
  stuck: number;
  violations: number;
  cpuSeconds: number;
}

export const NO_SUMS: Readonly<Sums> = { seeds: 0, migrations: 0, stuck: 0, violations: 0, cpuSeconds: 0 };

/** `arguments_` are those of the command line, without the seeds. */
export async function shareSeeds(
  { first, count, jobs }: { readonly first: number; readonly count: number; readonly jobs: number },
  arguments_: readonly string[],
  print: (text: string) => void,
): Promise<Sums> {
  const edges = Array.from({ length: jobs + 1 }, (_, job) => first + Math.round((job * count) / jobs));
  const shares = edges.slice(0, -1).map((from, job) => ({ from, count: (edges[job + 1] ?? from) - from }));
  const sums = await Promise.all(shares.map(share => runShare(share, arguments_, print)));
  return sums.reduce(added, NO_SUMS);
}

export const added = (one: Sums, other: Sums): Sums => ({
  seeds: one.seeds + other.seeds,
  migrations: one.migrations + other.migrations,
  stuck: one.stuck + other.stuck,
  violations: one.violations + other.violations,
  cpuSeconds: one.cpuSeconds + other.cpuSeconds,
});

async function runShare(
  { from, count }: { readonly from: number; readonly count: number },
  arguments_: readonly string[],
  print: (text: string) => void,
): Promise<Sums> {
  const seeds = ["--seed", `${from}`, "--seeds", `${count}`, "--jobs", "1", "--sums"];
  const child = spawn(
    process.execPath,
    [...process.execArgv, "--import", REGISTER, MAIN, ...seeds, ...arguments_],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    const end = said.lastIndexOf("\n\n");
    if (end === -1) return;
    print(said.slice(0, end + 1));
    said = said.slice(end + 2);
  });
  const code = await new Promise<number | null>(resolve => child.on("close", resolve));
  const sums = /^sums: (\{.*\})$/m.exec(said)?.[1];
  if (sums === undefined)
    throw new Error(`the seeds from ${from} on ended with ${code} and without their sums: ${said}`);
  return JSON.parse(sums) as Sums;
}
