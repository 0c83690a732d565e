/**
 * Whether everything stands still, because this store is older than the world (SAFETY R13): no saga writes a line and
 * nobody can ask for anything new until the epochs have been raised.
 */

import { Fault } from "../../proto/fault.js";
import { readMeta, writeMeta } from "./meta.js";
import type { Queries } from "./schema.js";

export interface Freeze {
  readonly reason: string;
  readonly atMs: number;
}

const META = "frozen";

export async function readFreeze(queries: Queries): Promise<Freeze | undefined> {
  const text = (await readMeta(queries, META)) ?? "";
  return text === "" ? undefined : (JSON.parse(text) as Freeze);
}

/** The first reason stays. */
export async function freeze(queries: Queries, found: Freeze): Promise<void> {
  if ((await readFreeze(queries)) === undefined) await writeMeta(queries, META, JSON.stringify(found));
}

export const thaw = (queries: Queries): Promise<void> => writeMeta(queries, META, "");

export async function refuseFrozen(queries: Queries): Promise<void> {
  const frozen = await readFreeze(queries);
  if (frozen === undefined) return;
  throw new Fault("conflict", `everything stands still: ${frozen.reason}`, {
    need: "a store that knows what the agents know",
    fix: "read docs/operating.md on restored databases, then: ferry admin epoch-raise --plan",
  });
}
