/**
 * Many migrations at once over real hosts: real libvirts, agents and disks, a controller that is killed in the middle. Everything
 * is asked for before the first is over, so that most wait; then all of it is looked at from outside.
 */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { controllerRows } from "../../lab/daemon-records.js";
import { type Host, Lab, PATIENCE_MS, waitFor } from "../../lab/lab.js";
import { NeverTwice } from "../../lab/never-twice.js";
import { mostAtOnce, type Span, spansOf } from "./agent-logs.js";
import { damaged, misplaced, type Queued, type Settled, unfair, wrongLeave } from "./findings.js";
import { MemoryWatch } from "./memory-watch.js";
import type { Followed, Order } from "./orders.js";
import { type Population, populate, type Resident } from "./population.js";

export interface LoadOptions extends Population {
  /** Of copies, in all and at each host. */
  readonly limits: { readonly total: number; readonly perHost: number };
}

export interface LoadResult {
  readonly endedRight: number;
  readonly problems: readonly string[];
  readonly figures: Readonly<Record<string, number>>;
}

/** The controller dies when so much of all has arrived. */
const KILLED_AT = 1 / 3;
const EVERY_TENTH = 10;
const ALL_MS = 20 * 60_000;

export async function labLoad(options: LoadOptions): Promise<LoadResult> {
  const guard = new NeverTwice();
  const lab = await Lab.up({ id: "load", hosts: options.hosts });
  let result: LoadResult;
  try {
    await configure(lab, options);
    result = await loaded(lab, options);
  } finally {
    await lab.down();
  }
  await guard[Symbol.asyncDispose]();
  return result;
}

async function loaded(lab: Lab, options: LoadOptions): Promise<LoadResult> {
  const hosts = hostsOf(options.hosts);
  const residents = await populate(lab, options);
  const memory = new MemoryWatch(lab);
  const startedMs = Date.now();
  const moving = give(lab, residents.map(migrateOrder));
  await killInTheMiddle(lab, residents.length, memory);
  const moved = await moving;
  const movedS = (Date.now() - startedMs) / 1000;
  const spans = await spansOf(lab, hosts);
  const there = residents.map((resident): Settled => ({ resident, host: resident.target }));
  const problems = [
    ...moved.flatMap(one => unless(one, "finished")),
    ...overLimits(spans, hosts, options),
    ...unfair(queueOf(lab), spans),
    ...(await brokenGuests(lab, there, 2)),
  ];

  await allHeard(lab);
  const decided = await give(lab, residents.map(verdictOrder));
  const settled = residents.map(
    (resident): Settled => ({
      resident,
      host: isReverted(resident) ? resident.home : resident.target,
    }),
  );
  problems.push(
    ...decided.flatMap(one =>
      unless(one, isReverted(byName(residents, one.server)) ? "reverted" : "confirmed"),
    ),
    ...(await misplaced(lab, hosts, settled)),
    ...(await wrongLeave(lab, hosts, settled)),
    ...(await brokenDisks(lab, settled)),
    ...(await audited(lab)),
  );
  const waits = queueOf(lab).map(({ migration, askedMs }) => beganOf(spans, migration) - askedMs);
  const { growthMib, mostMib } = await memory.end();
  if (growthMib > MOST_GROWTH_MIB) problems.push(`the controller's memory grew by ${growthMib} MiB`);
  return {
    endedRight: residents.filter(({ name }) => rightly(name, moved, decided)).length,
    problems,
    figures: {
      hosts: options.hosts,
      runningGuests: options.running,
      seconds: Math.round(movedS),
      mostAtOnce: mostAtOnce(spans),
      mostAtOneHost: Math.max(
        ...hosts.map(host => mostAtOnce(spans.filter(span => span.hosts.includes(host)))),
      ),
      longestWaitSeconds: Math.round(Math.max(...waits) / 1000),
      streamsTakenUpAgain: moved.filter(({ losses }) => losses > 0).length,
      messages: moved.reduce((sum, { messages }) => sum + messages, 0),
      controllerMostMib: mostMib,
      controllerGrewMib: growthMib,
    },
  };
}

/** Node takes what it may before it tidies up; what leaks with each migration would be more. */
const MOST_GROWTH_MIB = 96;

const migrateOrder = ({ name, target, priority }: Resident): Order => ({
  server: name,
  verb: "migrate",
  host: target,
  priority,
});
const isReverted = ({ name }: Resident): boolean => Number(name.slice(1)) % EVERY_TENTH === 5;
const verdictOrder = (resident: Resident): Order => ({
  server: resident.name,
  verb: isReverted(resident) ? "revert" : "confirm",
  host: "",
  priority: 0,
});

function byName(residents: readonly Resident[], name: string): Resident {
  const found = residents.find(resident => resident.name === name);
  if (found === undefined) throw new Error(`nobody is called ${name}`);
  return found;
}

/** Through one client that follows all of them. */
async function give(lab: Lab, orders: readonly Order[]): Promise<Followed[]> {
  const [node, client] = [process.execPath, join(import.meta.dirname, "client.ts")];
  const argv = [
    node,
    "--disable-warning=ExperimentalWarning",
    join(import.meta.dirname, "../run.mjs"),
    client,
  ];
  const said = await lab.output("ctl", argv, { input: JSON.stringify(orders), timeoutMs: ALL_MS });
  return said
    .split("\n")
    .filter(Boolean)
    .map(line => JSON.parse(line) as Followed);
}

async function killInTheMiddle(lab: Lab, migrations: number, memory: MemoryWatch): Promise<void> {
  const log = lab.path("ctl", "/var/log/ferry/controller.log");
  const arrived = async () => (await readFile(log, "utf8")).match(/"msg":"waiting"/g)?.length ?? 0;
  const isTime = async () => (await arrived()) >= migrations * KILLED_AT;
  await waitFor(isTime, { deadlineMs: ALL_MS, what: "a third of the migrations have arrived" });
  await lab.controller("kill");
  const answers = async () => (await lab.ferry("host", "list")).code === 0;
  await waitFor(answers, { deadlineMs: PATIENCE_MS, what: "the controller is back" });
  memory.begin();
}

function unless({ server, status, problem }: Followed, wanted: string): string[] {
  return problem === "" && status === wanted
    ? []
    : [`${server} is ${status || "not moved"}, not ${wanted} ${problem}`];
}

const rightly = (name: string, moved: readonly Followed[], decided: readonly Followed[]): boolean =>
  moved.some(({ server, status }) => server === name && status === "finished") &&
  decided.some(({ server, status }) => server === name && /^(confirmed|reverted)$/.test(status));

function overLimits(spans: readonly Span[], hosts: readonly Host[], { limits }: LoadOptions): string[] {
  const counts = hosts.map(
    host => [host, mostAtOnce(spans.filter(span => span.hosts.includes(host)))] as const,
  );
  const total = mostAtOnce(spans);
  return [
    ...counts.filter(([, most]) => most > limits.perHost).map(([host, most]) => `${most} at once at ${host}`),
    ...(total > limits.total ? [`${total} at once in all`] : []),
  ];
}

function queueOf(lab: Lab): Queued[] {
  const rows = controllerRows(
    lab,
    `SELECT migration.id AS migration, source_host AS source, target_host AS target, created_at_ms AS askedMs,
      COALESCE(json_extract(saga.input, '$.priority'), 0) AS priority
      FROM migration JOIN saga ON saga.id = migration.id`,
  );
  return rows as Queued[];
}

const beganOf = (spans: readonly Span[], migration: string): number =>
  spans.find(span => span.migration === migration)?.beganMs ?? Number.POSITIVE_INFINITY;

async function brokenGuests(lab: Lab, settled: readonly Settled[], boots: number): Promise<string[]> {
  const running = settled.filter(({ resident }) => resident.guest !== undefined);
  const problems: string[] = [];
  for (const one of running) problems.push(...(await damaged(lab, one, boots)));
  return problems;
}

async function brokenDisks(lab: Lab, settled: readonly Settled[]): Promise<string[]> {
  const problems: string[] = [];
  for (const one of settled) problems.push(...(await damaged(lab, one, 2)));
  return problems;
}

/** Both audits exit with another code when they find something. */
async function audited(lab: Lab): Promise<string[]> {
  const found: string[] = [];
  for (const audit of [
    ["admin", "audit", "--look"],
    ["placement", "audit"],
  ]) {
    const { stdout } = await lab.ferry("-o", "json", ...audit);
    found.push(...(JSON.parse(stdout) as object[]).map(one => `${audit.join(" ")}: ${JSON.stringify(one)}`));
  }
  return found;
}

/** Few copies at a time; and hosts that take more than they have, so that all servers could be on one. */
async function configure(lab: Lab, { hosts, limits }: LoadOptions): Promise<void> {
  const ratios = ["cpu", "ram", "disk"].map(what => `${what}_allocation_ratio = 100`).join("\n");
  for (const host of hostsOf(hosts)) {
    await prepend(lab.path(host, "/etc/ferry/agent.toml"), ratios);
    await lab.agent(host, "stop");
    await lab.agent(host, "start");
  }
  const { total, perHost } = limits;
  const most = `max_concurrent_migrations = ${total}\nmax_concurrent_migrations_per_host = ${perHost}`;
  await prepend(lab.path("ctl", "/etc/ferry/controller.toml"), most);
  await lab.controller("stop");
  await lab.controller("start");
  await allHeard(lab);
}

/** A controller that has just started knows no host to be up, and lets nobody confirm. */
async function allHeard(lab: Lab): Promise<void> {
  const areUp = async () => {
    const { stdout, code } = await lab.ferry("-o", "json", "host", "list");
    return code === 0 && (JSON.parse(stdout) as { state: string }[]).every(({ state }) => state === "up");
  };
  await waitFor(areUp, { deadlineMs: PATIENCE_MS, what: "the controller has heard of all hosts" });
}

const prepend = async (file: string, lines: string): Promise<void> =>
  writeFile(file, `${lines}\n${await readFile(file, "utf8")}`);

const hostsOf = (count: number): Host[] => Array.from({ length: count }, (_, index): Host => `h${index + 1}`);
