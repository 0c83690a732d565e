/** The gRPC part of `npm run fuzz`, new each time; the seed is in what it says. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { watchUnhandledRejections } from "../simulation/unhandled.js";
import { fuzzServices } from "./services.js";
import { complaintsOf, inputsOf } from "./tally.js";

const own: unknown[] = [];
beforeAll(() => watchUnhandledRejections(error => own.push(error)));
afterAll(() => expect(own).toEqual([]));

const INPUTS = 5_000;

it("hostile messages are answered or refused by every method, and reach nothing outside the pools", async () => {
  const tallies = await fuzzServices(INPUTS, Date.now() % 1_000_000_000);
  expect(complaintsOf(tallies)).toEqual([]);
  expect(inputsOf(tallies)).toBeGreaterThanOrEqual(INPUTS);
});
