/** A few cells of the crash matrix (`npm run crash-matrix` runs all): those in which the most can be lost. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { BOUNDARIES } from "../crash-matrix/boundaries.js";
import { runCell } from "../crash-matrix/cell.js";
import { FAULTS } from "../crash-matrix/faults.js";
import { matrixLab } from "../crash-matrix/matrix-lab.js";
import type { Traveller } from "../crash-matrix/traveller.js";
import type { Lab } from "./lab.js";
import { NeverTwice } from "./never-twice.js";

let lab: Lab;
let traveller: Traveller;
let guard: NeverTwice;

beforeAll(async () => {
  guard = new NeverTwice();
  ({ lab, traveller } = await matrixLab("matrix-sample"));
});

afterAll(async () => {
  await lab.down();
  await guard[Symbol.asyncDispose]();
});

it.each([
  ["fence-source", "source power cut"],
  ["mid-copy", "target power cut"],
])("at %s, a %s changes nothing but the duration", async (boundary, fault) => {
  const [row, column] = [
    BOUNDARIES.find(({ name }) => name === boundary),
    FAULTS.find(({ name }) => name === fault),
  ];
  if (row === undefined || column === undefined) throw new Error(`there is no ${boundary} × ${fault}`);
  expect(await runCell(traveller, row, column)).toMatchObject({ outcome: "confirmed" });
});
