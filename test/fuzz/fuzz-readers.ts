/** Gives each reader its share of inputs; answers what was wrong, with the seed and the input that show it. */

import * as fc from "fast-check";
import { mutated } from "./mutations.js";
import { complaintAbout, READERS } from "./readers.js";

export interface FuzzResult {
  readonly inputs: number;
  readonly complaints: readonly string[];
}

export function fuzzReaders(inputs: number, seed: number): FuzzResult {
  const share = Math.ceil(inputs / READERS.length);
  const complaints: string[] = [];
  for (const reader of READERS) {
    const property = fc.property(mutated(reader.documents), bytes => {
      const complaint = complaintAbout(reader, bytes);
      if (complaint !== undefined) throw new Error(complaint);
    });
    const { failed, counterexample, errorInstance } = fc.check(property, {
      numRuns: share,
      seed,
      endOnFailure: false,
    });
    if (!failed) continue;
    const [bytes] = counterexample ?? [];
    complaints.push(
      `${String((errorInstance as Error).message)}\nseed ${seed}, input ${JSON.stringify(bytes?.toString("latin1").slice(0, 400))}`,
    );
  }
  return { inputs: share * READERS.length, complaints };
}
