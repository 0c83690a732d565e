/**
 * The lines of a saga's journal and how they are written. What is journalled is what happened; everything else (where
 * the saga stands, what comes next) is computed from the lines.
 */

import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { readStored } from "../../proto/stored.js";
import type { Facts } from "./plan.js";

export type Verdict = "confirm" | "revert";

export type Line =
  | { readonly kind: "begun"; readonly step: string }
  | { readonly kind: "done"; readonly step: string; readonly gives: Facts }
  /** From here on everything is taken back. `step` failed, or was under way when it was cancelled. */
  | { readonly kind: "unwinding"; readonly step: string; readonly cause: FaultInfo }
  | { readonly kind: "undone"; readonly step: string }
  | { readonly kind: "tidied"; readonly step: string }
  /** All steps before the verdict are done. */
  | { readonly kind: "waiting" }
  | { readonly kind: "verdict"; readonly verdict: Verdict; readonly by: string }
  /** It cannot go on for now: `parked` until a person says so, otherwise it keeps trying. */
  | { readonly kind: "stuck"; readonly step: string; readonly fault: FaultInfo; readonly parked: boolean }
  | { readonly kind: "resumed"; readonly by: string }
  /** A person's word, which the steps know from now on. */
  | { readonly kind: "told"; readonly by: string; readonly gives: Facts }
  | { readonly kind: "ended" };

/** A line and when it was written. */
export interface Entry {
  readonly line: Line;
  readonly atMs: number;
}

const BYTES = "$bytes";

/** JSON has no bytes: receipts and nonces travel as base64 under a name of their own. */
export function encodeJson(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, item) {
    // Buffer.toJSON has replaced `item` already; the original is still in its holder.
    const original = this[key];
    return original instanceof Uint8Array ? { [BYTES]: Buffer.from(original).toString("base64") } : item;
  });
}

export function decodeJson<T>(text: string): T {
  return readStored("a saga's line in the store", () => {
    const value: unknown = JSON.parse(text);
    return (text.includes(BYTES) ? withBytes(value) : value) as T;
  });
}

/** Several times as fast as a reviver, and a saga's lines are read at each of its steps. */
function withBytes(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withBytes);
  if (BYTES in value) return Buffer.from(String(value[BYTES]), "base64");
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withBytes(item)]));
}
