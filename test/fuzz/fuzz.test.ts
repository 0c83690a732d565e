/** A sample of `npm run fuzz`, new each time; the seed is in what it says. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { watchUnhandledRejections } from "../simulation/unhandled.js";
import { fuzzReaders } from "./fuzz-readers.js";
import { fuzzServices } from "./services.js";

const own: unknown[] = [];
beforeAll(() => watchUnhandledRejections(error => own.push(error)));
afterAll(() => expect(own).toEqual([]));

const seed = Date.now() % 1_000_000_000;

describe("hostile input", () => {
  it("in a document is answered or refused by every reader, in no time", () => {
    expect(fuzzReaders(4_000, seed).complaints).toEqual([]);
  });

  it("in a message is answered or refused by every method, and reaches nothing outside the pools", async () => {
    expect((await fuzzServices(300, seed)).complaints).toEqual([]);
  });
});
