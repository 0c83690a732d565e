/**
 * Certificates that count for nothing before they expire: a file that names them by their SHA-256, one a line as `ferry pki
 * show` prints it, with `#` before a remark. A line that cannot be read makes the whole list unreadable: a typing error
 * must not let anybody in.
 */

import { readFileSync } from "node:fs";
import { Fault } from "./fault.js";

export type Revoked = ReadonlySet<string>;

export const NONE_REVOKED: Revoked = new Set();

const FINGERPRINT = /^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/;

export function readRevoked(path: string): Revoked {
  try {
    return parseRevoked(readFileSync(path, "utf8"), path);
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault("invalid-argument", `cannot read ${path}: ${(error as Error).message}`, {
      fix: "make the file, empty if nothing is revoked, or leave out tls.revoked",
    });
  }
}

export function parseRevoked(text: string, origin: string): Revoked {
  const lines = text.split("\n").map(line => line.replace(/#.*/, "").trim().toUpperCase());
  const wrong = lines.findIndex(line => line !== "" && !FINGERPRINT.test(line));
  if (wrong === -1) return new Set(lines.filter(line => line !== ""));
  throw new Fault("invalid-argument", `${origin}, line ${wrong + 1}: no SHA-256 of a certificate`, {
    have: lines[wrong] ?? "",
    need: "32 bytes in hexadecimal, separated by colons",
    fix: "take it from: ferry pki show FILE",
  });
}

/** Refuses whoever shows a certificate of the list. */
export function refuseRevoked(fingerprint: string | undefined, revoked: Revoked): void {
  if (revoked.size === 0 || (fingerprint !== undefined && !revoked.has(fingerprint))) return;
  throw new Fault("unauthenticated", "the certificate has been revoked", {
    fix: "issue a new one with `ferry pki issue --force`",
  });
}
