/** `npm run fuzz -- [--inputs N] [--seed N]`: hostile bytes to every reader, hostile messages to every method. */

import { parseArgs } from "node:util";
import { watchUnhandledRejections } from "../simulation/unhandled.js";
import { fuzzReaders } from "./fuzz-readers.js";
import { fuzzServices } from "./services.js";

const { values } = parseArgs({
  options: { inputs: { type: "string", default: "100000" }, seed: { type: "string" } },
});
const inputs = Number(values.inputs);
const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed);
const print = (text: string) => process.stdout.write(`${text}\n`);

watchUnhandledRejections(error => {
  print(`unhandled rejection: ${error instanceof Error ? error.stack : String(error)}`);
  process.exitCode = 1;
});

/** Calls go through a whole fleet, and cost a hundred times what a reader does. */
const SERVICE_SHARE = 0.05;

const readers = fuzzReaders(inputs * (1 - SERVICE_SHARE), seed);
const services = await fuzzServices(Math.ceil(inputs * SERVICE_SHARE), seed);
const complaints = [...readers.complaints, ...services.complaints];
for (const complaint of complaints) print(complaint);
print(`fuzz: ${readers.inputs + services.inputs} inputs, ${complaints.length} complaints, seed ${seed}`);
if (complaints.length > 0) process.exitCode = 1;
