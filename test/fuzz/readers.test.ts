/**
 * What of `npm run fuzz` needs no simulated fleet, at its full size (with the messages of `services.test.ts` 100,000 inputs)
 * and new each time; the seed is in what it says. And that it would notice.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readQcow2Header } from "../../agent/disk/qcow2-header.js";
import { fuzz, fuzzReaders } from "./fuzz-readers.js";
import { DISK_READERS } from "./readers/disks.js";
import { fuzzRest } from "./rest.js";
import { complaintsOf, inputsOf } from "./tally.js";

const own: unknown[] = [];
const note = (error: unknown) => own.push(error);
beforeAll(() => void process.on("unhandledRejection", note));
afterAll(() => {
  process.off("unhandledRejection", note);
  expect(own).toEqual([]);
});

const seed = Date.now() % 1_000_000_000;
const INPUTS = { documents: 90_000, requests: 5_000 };

describe("hostile input", { timeout: 240_000 }, () => {
  it("in a document is answered or refused by every reader, in no time, and leaves nothing behind", async () => {
    const tallies = await fuzzReaders(INPUTS.documents, seed);
    expect(complaintsOf(tallies)).toEqual([]);
    expect(inputsOf(tallies)).toBeGreaterThanOrEqual(INPUTS.documents);
    // A reader that takes nothing, or everything, would not have been tested.
    expect(tallies.filter(({ inputs, accepted }) => inputs > 0 && accepted === 0)).toEqual([]);
  });

  it("in a request is answered or refused by every route", async () => {
    const tallies = await fuzzRest(INPUTS.requests, seed);
    expect(complaintsOf(tallies)).toEqual([]);
    expect(inputsOf(tallies)).toBeGreaterThanOrEqual(INPUTS.requests);
  });
});

describe("a reader that is wrong", () => {
  const [{ documents } = { documents: [] }] = DISK_READERS;
  const wrong = {
    "reads on where the file has ended": (bytes: Buffer) => {
      readQcow2Header(bytes);
      bytes.readUInt32BE(400);
    },
    "answers late": () => new Promise(resolve => setTimeout(resolve, 150)),
  };

  it.each(Object.entries(wrong))("is found when it %s", async (name, read) => {
    const { complaints } = await fuzz({ name, documents, read, limitMs: 100 }, 500, seed);
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toMatch(/seed \d+, input "/);
  });
});
