/**
 * One value, one spelling: JSON with sorted keys and no white space, for what is signed or hashed.
 *
 * Only what has one spelling is allowed: null, booleans, strings, safe integers, arrays and plain objects. Larger
 * integers (inodes, nanoseconds) travel as decimal strings.
 */

import assert from "node:assert/strict";

export type Canonical =
  | null
  | boolean
  | string
  | number
  | readonly Canonical[]
  | { readonly [key: string]: Canonical };

export function canonicalJson(value: Canonical): string {
  if (Array.isArray(value)) return `[${value.map(item => canonicalJson(item as Canonical)).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(",")}}`;
  }
  assert(typeof value !== "number" || Number.isSafeInteger(value), `${value} has no canonical spelling`);
  assert(value === null || ["boolean", "string", "number"].includes(typeof value), "not a canonical value");
  return JSON.stringify(value);
}
