/** The words of `bench schedule`: how long a decision takes, and how many claims a second are durable. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { Store } from "../../controller/store/store.js";
import { countOverbooked, measureClaims, measureDecisions } from "./measure.js";
import { seeded } from "./random.js";
import { fillFleet } from "./simulated-fleet.js";

interface ScheduleOptions {
  readonly hosts?: number;
  readonly decisions: number;
  readonly seconds: number;
  readonly folder?: string;
  readonly json?: true;
}

export interface ScheduleReport {
  readonly hosts: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly claimsPerSecond: number;
  readonly overbooked: number;
  readonly decisions: number;
  readonly refused: number;
}

const USUAL_HOSTS = [100, 1_000, 10_000];
const SEED = 20_260;

const HELP = `
A decision asks every filter of every host (NUMA and PCI fit included), weighs, picks the best with two alternates and
books it durably in SQLite with synchronous=FULL. Hosts are captures of real machines, partly taken. Claims are made
by 16 workers at once, each in a transaction of its own; afterwards the store is opened again and counted.

Examples:
  npm run bench -- schedule
  npm run bench -- schedule --hosts 10000 --json
`;

export function addScheduleCommand(program: Command): void {
  program
    .command("schedule")
    .description("decisions over a simulated fleet, and durable claims per second")
    .option("--hosts <count>", `size of the fleet (default: ${USUAL_HOSTS.join(", ")} in turn)`, countOf)
    .option("--decisions <count>", "decisions that are timed", countOf, 400)
    .option("--seconds <count>", "how long claims are made", countOf, 5)
    .option("--folder <folder>", "where the store lies (default: the system's temporary folder)")
    .option("--json", "print JSON and nothing else")
    .addHelpText("after", HELP)
    .action(async (options: ScheduleOptions) => {
      const sizes = options.hosts === undefined ? USUAL_HOSTS : [options.hosts];
      const reports: ScheduleReport[] = [];
      for (const hosts of sizes) {
        const report = await benchSchedule(hosts, options);
        reports.push(report);
        if (options.json !== true) process.stdout.write(`${lineOf(report)}\n`);
      }
      if (options.json !== true) return;
      const [only] = reports;
      process.stdout.write(`${JSON.stringify(options.hosts === undefined ? reports : only)}\n`);
    });
}

async function benchSchedule(
  hosts: number,
  { decisions, seconds, folder = tmpdir() }: Pick<ScheduleOptions, "decisions" | "seconds" | "folder">,
): Promise<ScheduleReport> {
  const place = mkdtempSync(join(folder, "ferry-bench-schedule-"));
  const random = seeded(SEED);
  try {
    const store = await Store.open(join(place, "controller.db"));
    await fillFleet(store, hosts, random);
    const { milliseconds, refused } = await measureDecisions(store, decisions, random);
    const claims = await measureClaims(store, seconds * 1000, random);
    await store.close();
    const again = await Store.open(join(place, "controller.db"));
    const overbooked = await countOverbooked(again);
    await again.close();
    return {
      hosts,
      p50Ms: quantile(milliseconds, 0.5),
      p99Ms: quantile(milliseconds, 0.99),
      claimsPerSecond: Math.round(claims / seconds),
      overbooked,
      decisions: milliseconds.length,
      refused,
    };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

const lineOf = ({ hosts, p50Ms, p99Ms, claimsPerSecond, overbooked, decisions, refused }: ScheduleReport) =>
  `${hosts} hosts: p50 ${p50Ms} ms, p99 ${p99Ms} ms over ${decisions} decisions (${refused} found no host); ` +
  `${claimsPerSecond} durable claims/s by 16 at a time, ${overbooked} overbooked`;

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  return Math.round(value * 100) / 100;
}

function countOf(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > 1_000_000)
    throw new InvalidArgumentError("Must be a whole number of at least 1.");
  return count;
}
