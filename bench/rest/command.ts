/** `bench rest`: how long the REST API takes to answer at a steady rate of requests. */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { Agent, get } from "node:http";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type Command, InvalidArgumentError } from "commander";
import { Fault } from "../../proto/fault.js";

interface RestOptions {
  readonly servers: number;
  readonly rate: number;
  readonly seconds: number;
  readonly json?: true;
}

interface Row {
  readonly what: string;
  readonly ratePerSecond: number;
  readonly answered: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time of the controller. */
  readonly cpuMs: number;
  readonly bytes: number;
}

/** What is asked, how often compared with the rest, and where. */
interface Kind {
  readonly what: string;
  readonly share: number;
  readonly pathOf: (count: number) => string;
}

const HELP = `
Requests are sent when they are due, whether or not earlier ones were answered, and a latency counts from that moment on: a
server that falls behind shows it.

Example:
  npm run bench -- rest --servers 1000 --rate 200 --json
`;

export function addRestCommand(program: Command, interrupted: AbortSignal): void {
  program
    .command("rest")
    .description("latency of the Nova REST API: lists and show")
    .option("--servers <count>", "servers in the store", countOf, 1000)
    .option("--rate <count>", "requests a second; a fortieth of it for the list of all servers", countOf, 200)
    .option("--seconds <count>", "how long, for each kind of request", countOf, 10)
    .option("--json", "print one JSON object and nothing else")
    .addHelpText("after", HELP)
    .action((options: RestOptions) => rest(options, interrupted));
}

function countOf(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > 100_000)
    throw new InvalidArgumentError("Must be 1 to 100000.");
  return count;
}

async function rest({ servers, rate, seconds, json }: RestOptions, interrupted: AbortSignal): Promise<void> {
  const service = fork(join(import.meta.dirname, "service.js"), [String(servers)]);
  try {
    const [{ port, ids }] = (await once(service, "message", { signal: interrupted })) as [
      { port: number; ids: string[] },
    ];
    const some = (count: number) => ids[count % ids.length] ?? "";
    const kinds: Kind[] = [
      { what: "show", share: 1, pathOf: count => `/v2.1/servers/${some(count)}` },
      { what: "list, 50 a page", share: 1, pathOf: () => "/v2.1/servers/detail?limit=50" },
      {
        what: "list, deep page",
        share: 1,
        pathOf: count => `/v2.1/servers/detail?limit=50&marker=${some(count)}`,
      },
      { what: "migrations, 50", share: 1, pathOf: () => "/v2.1/os-migrations?limit=50" },
      { what: "list, all", share: 1 / 40, pathOf: () => "/v2.1/servers/detail" },
    ];
    const rows: Row[] = [];
    for (const { what, share, pathOf } of kinds) {
      const ratePerSecond = Math.max(1, Math.round(rate * share));
      const before = await processorTimeOf(service);
      const measured = await measure({ port, pathOf, rate: ratePerSecond, seconds, interrupted });
      const cpuMs = ((await processorTimeOf(service)) - before) / Math.max(1, measured.answered);
      rows.push({ what, ratePerSecond, ...measured, cpuMs: Number(cpuMs.toFixed(2)) });
    }
    report({ servers, rows }, json === true);
  } finally {
    service.kill();
  }
}

/** Milliseconds since it started. */
async function processorTimeOf(service: ChildProcess): Promise<number> {
  service.send("cpu");
  const [{ cpuMs }] = (await once(service, "message")) as [{ cpuMs: number }];
  return cpuMs;
}

interface Load {
  readonly port: number;
  readonly pathOf: (count: number) => string;
  readonly rate: number;
  readonly seconds: number;
  readonly interrupted: AbortSignal;
}

async function measure({ port, pathOf, rate, seconds, interrupted }: Load) {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const latencies: number[] = [];
  let [failed, bytes] = [0, 0];
  const started = performance.now();
  const running: Promise<void>[] = [];
  for (let count = 0; count < rate * seconds && !interrupted.aborted; count += 1) {
    const dueMs = started + (count * 1000) / rate;
    const earlyMs = dueMs - performance.now();
    if (earlyMs > 1) await wait(earlyMs);
    const ask = async () => {
      try {
        bytes = await request(agent, port, pathOf(count));
        latencies.push(performance.now() - dueMs);
      } catch {
        failed += 1;
      }
    };
    running.push(ask());
  }
  await Promise.all(running);
  agent.destroy();
  if (interrupted.aborted) throw new Fault("cancelled", "ended before it was over");
  latencies.sort((one, other) => one - other);
  const at = (share: number) =>
    Number((latencies[Math.floor(latencies.length * share)] ?? Number.NaN).toFixed(2));
  return { answered: latencies.length, failed, p50Ms: at(0.5), p99Ms: at(0.99), bytes };
}

const LIMIT_MS = 60_000;

function request(agent: Agent, port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { "OpenStack-API-Version": "compute 2.90" };
    get({ host: "127.0.0.1", port, path, agent, headers, timeout: LIMIT_MS }, answer => {
      let size = 0;
      answer.on("data", (part: Buffer) => {
        size += part.length;
      });
      answer.once("end", () =>
        answer.statusCode === 200 ? resolve(size) : reject(new Error(String(answer.statusCode))),
      );
      answer.once("error", reject);
    }).once("error", reject);
  });
}

function report(result: { servers: number; rows: readonly Row[] }, asJson: boolean): void {
  if (asJson) {
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return;
  }
  const lines = result.rows.map(
    ({ what, ratePerSecond, p50Ms, p99Ms, cpuMs, bytes, failed }) =>
      `${what.padEnd(16)} ${ratePerSecond}/s  p50 ${p50Ms} ms  p99 ${p99Ms} ms  processor ${cpuMs} ms  ${bytes} bytes  ${failed} failed`,
  );
  process.stdout.write(`${result.servers} servers, as many migrations\n${lines.join("\n")}\n`);
}
