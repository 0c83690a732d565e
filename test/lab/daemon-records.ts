/** What the daemons of a lab have on record, read from their databases and not from their mouths. */

import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { Host, Lab } from "./lab.js";

export const controllerRows = (lab: Lab, query: string): unknown[] =>
  rows(lab, "ctl", "/var/lib/ferry-controller/controller.db", query);

/** What a host has booked for servers that are to come, `server migration` each. */
export const claimsOn = (lab: Lab, host: Host): string[] =>
  rows(
    lab,
    host,
    "/var/lib/ferry/journal.db",
    "SELECT server || ' ' || migration AS line FROM document WHERE kind = 'claim'",
  ).map(row => String((row as { line: string }).line));

/** From a copy: both daemons keep their databases locked. */
function rows(lab: Lab, host: Host, file: string, query: string): unknown[] {
  const folder = mkdtempSync(join(tmpdir(), "ferry-refusal-"));
  const copy = join(folder, "copy.db");
  for (const suffix of ["", "-wal"]) {
    const original = lab.path(host, `${file}${suffix}`);
    if (existsSync(original)) copyFileSync(original, `${copy}${suffix}`);
  }
  const database = new Database(copy, { fileMustExist: true });
  try {
    return database.prepare(query).all();
  } finally {
    database.close();
    rmSync(folder, { recursive: true });
  }
}
