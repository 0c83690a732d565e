/**
 * Ids that Nova has and we do not: numbers and UUIDs for hosts and flavors, made from their names, so that they are the
 * same on every controller and after every restart.
 */

import { createHash } from "node:crypto";

/** A UUID of version 5, in a namespace of our own. */
export function uuidOf(kind: "host" | "service" | "project", name: string): string {
  const bytes = createHash("sha1").update(`ferry:${kind}:${name}`).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** A whole number from 1 to 2³¹ − 1; a name that is such a number is itself. */
export function numberOf(kind: "host" | "flavor", name: string): number {
  if (/^[1-9]\d{0,8}$/.test(name)) return Number(name);
  const hash = createHash("sha1").update(`ferry:${kind}:${name}`).digest().readUInt32BE(0);
  return (hash % (2 ** 31 - 1)) + 1;
}
