/** Gives each reader its share of inputs, and looks at what they leave behind: memory, and files where none may be. */

import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as fc from "fast-check";
import { nativeEngine } from "../../agent/os/engine.js";
import { Certificates } from "../unit/proto/certificates.js";
import { mutated } from "./mutations.js";
import { judge, type Reader } from "./reader.js";
import { DISK_READERS } from "./readers/disks.js";
import { DOMAIN_READERS } from "./readers/domains.js";
import { fileReaders } from "./readers/files.js";
import { ROW_READERS } from "./readers/rows.js";
import { certificateReader, SETTINGS_READERS } from "./readers/settings.js";
import { frameReader, WIRE_READERS } from "./readers/wire.js";
import type { Tally } from "./tally.js";
import { Workplace } from "./workplace.js";

/** What a run of any length may leave behind in memory. */
const LEAK_BYTES = 24 * 1024 * 1024;
/** For one reader, shrinking included. */
const LIMIT_MS = 60_000;
/** Inputs after which nothing is loaded or compiled for the first time any more, as a share. */
const WARM = 0.1;

export async function fuzzReaders(inputs: number, seed: number): Promise<Tally[]> {
  using place = new Workplace();
  using certificates = await Certificates.make();
  const tls = await certificates.files({ kind: "agent", name: "h1" });
  const readers = [
    ...DOMAIN_READERS,
    ...DISK_READERS,
    ...SETTINGS_READERS,
    ...WIRE_READERS,
    ...ROW_READERS,
    certificateReader(readFileSync(tls.cert)),
    frameReader(nativeEngine().checkHeader),
    ...(await fileReaders(place, tls)),
  ];
  const share = Math.ceil(inputs / readers.length);
  await fuzzAll(readers, Math.ceil(share * WARM), seed + 1);
  const before = settledBytes();
  const tallies = await fuzzAll(readers, share, seed);
  const leaked = settledBytes() - before;
  const leaks = leaked > LEAK_BYTES ? [`${Math.round(leaked / 2 ** 20)} MiB were not given back`] : [];
  const complaints = [...leaks, ...place.complaints()];
  return [...tallies, { target: "(left behind)", inputs: 0, accepted: 0, refused: 0, complaints }];
}

async function fuzzAll(readers: readonly Reader[], share: number, seed: number): Promise<Tally[]> {
  const tallies: Tally[] = [];
  for (const reader of readers) tallies.push(await fuzz(reader, share, seed));
  return tallies;
}

/** One reader; the first input that it takes wrongly ends it. */
export async function fuzz(reader: Reader, inputs: number, seed: number): Promise<Tally> {
  const counts = { accepted: 0, refused: 0 };
  const property = fc.asyncProperty(mutated(reader.documents), async bytes => {
    const outcome = await judge(reader, bytes);
    if (typeof outcome === "object") throw new Error(outcome.complaint);
    counts[outcome] += 1;
  });
  const { failed, counterexample, errorInstance } = await fc.check(property, {
    numRuns: inputs,
    seed,
    interruptAfterTimeLimit: LIMIT_MS,
    markInterruptAsFailure: true,
  });
  const [bytes] = counterexample ?? [];
  const shown = `seed ${seed}, input ${JSON.stringify(bytes?.toString("latin1").slice(0, 400))}`;
  const complaints = failed ? [`${(errorInstance as Error).message}\n${shown}`] : [];
  return { target: reader.name, inputs, ...counts, complaints };
}

/** What is still held once everything was given back that can be: heap, and what lies outside it. */
function settledBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
