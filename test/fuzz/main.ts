/**
 * `npm run fuzz -- [--inputs N] [--seed N]`: hostile bytes to every reader and to the REST API, and beside them, on a simulated
 * fleet in a process of its own (its edges are others), hostile messages to every gRPC method.
 */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { readCommandLine, wholeNumber } from "../command-line.js";
import { fuzzReaders } from "./fuzz-readers.js";
import { fuzzRest } from "./rest.js";
import { REST_SHARE, SERVICE_SHARE } from "./shares.js";
import { complaintsOf, inputsOf, printed, type Tally } from "./tally.js";

const HELP = `npm run fuzz       hostile documents and messages, to every reader and every method
  --inputs N       so many (100000)
  --seed N         the same ones again
`;

const values = readCommandLine(HELP, {
  inputs: { type: "string", default: "100000" },
  seed: { type: "string" },
});
const inputs = wholeNumber(HELP, "inputs", values.inputs, 1);
const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : wholeNumber(HELP, "seed", values.seed);
const print = (text: string) => process.stdout.write(`${text}\n`);
const unhandled: string[] = [];
process.on("unhandledRejection", error => {
  unhandled.push(`unhandled rejection: ${error instanceof Error ? error.stack : String(error)}`);
});

async function services(): Promise<Tally[]> {
  const edges = new URL("../simulation/edges/register.mjs", import.meta.url).href;
  const main = new URL("./services-main.ts", import.meta.url).pathname;
  const words = ["--import", edges, main, String(Math.ceil(inputs * SERVICE_SHARE)), String(seed)];
  const { stdout } = await promisify(execFile)(process.execPath, words, { maxBuffer: 2 ** 26 });
  return JSON.parse(stdout) as Tally[];
}

const messages = services();
const tallies = [
  ...(await fuzzReaders(inputs * (1 - SERVICE_SHARE - REST_SHARE), seed)),
  ...(await fuzzRest(inputs * REST_SHARE, seed)),
  ...(await messages),
];
const complaints = [...complaintsOf(tallies), ...unhandled];
print(printed(tallies));
for (const complaint of complaints) print(complaint);
print(`seed ${seed}`);
print(`fuzz: ${inputsOf(tallies)} inputs, ${complaints.length} failed`);
if (complaints.length > 0) process.exitCode = 1;
