/** What the daemons of a lab have on record, read from their databases and not from their mouths. */

import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { Host, Lab } from "./lab.js";

export const controllerRows = (lab: Lab, query: string): unknown[] =>
  rows(lab, "ctl", "/var/lib/ferry-controller/controller.db", query);

/** What a host has booked for servers that are to come, `server migration` each. */
export const claimsOn = (lab: Lab, host: Host): string[] =>
  journalLines(lab, host, "SELECT server || ' ' || migration AS line FROM document WHERE kind = 'claim'");

/** The column `line` of what is found in an agent's journal. */
export const journalLines = (lab: Lab, host: Host, query: string): string[] =>
  rows(lab, host, "/var/lib/ferry/journal.db", query).map(row => String((row as { line: string }).line));

/** From a copy: both daemons keep their databases locked. */
function rows(lab: Lab, host: Host, file: string, query: string): unknown[] {
  const folder = mkdtempSync(join(tmpdir(), "ferry-records-"));
  try {
    const copy = join(folder, "copy.db");
    copyDatabase(lab.path(host, file), copy);
    using reading = disposable(new Database(copy, { fileMustExist: true }));
    return reading.database.prepare(query).all();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * A database that is in use. When its log was begun anew in between, the copy of the file lacks what the log held before, and the
 * copy of the log has it no more: then again.
 */
function copyDatabase(original: string, copy: string): void {
  for (;;) {
    const before = logHeadOf(original);
    copyFileSync(original, copy);
    if (existsSync(`${original}-wal`)) copyFileSync(`${original}-wal`, `${copy}-wal`);
    if (logHeadOf(original) === before) return;
  }
}

/** SQLite gives each log a head of its own. */
function logHeadOf(database: string): string {
  const log = `${database}-wal`;
  return existsSync(log) ? readFileSync(log).subarray(0, 32).toString("hex") : "";
}

const disposable = (database: Database.Database) => ({ database, [Symbol.dispose]: () => database.close() });
