/**
 * The agent's journal: one SQLite file that survives kill -9 and power loss (WAL, synchronous=FULL).
 *
 * Everything that decides whether a server may run here, and everything that Ferry made on this host, is written
 * here before it is touched (DESIGN §6). A reserve file keeps a full disk from making the journal unwritable in
 * the middle of an operation: what cannot be recorded is refused before anything is touched.
 */

import { closeSync, existsSync, fsyncSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { Fault } from "../../proto/fault.js";

const RESERVE_BYTES = 16 * 1024 * 1024;

/** One after the other: a journal of an older version gets those that it lacks. What was once released never changes. */
const UPGRADES: readonly string[] = [
  `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE guest (
  server TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, incarnation TEXT NOT NULL,
  migration TEXT NOT NULL, epoch INTEGER NOT NULL, may_have_run INTEGER NOT NULL, disks TEXT NOT NULL
) STRICT;
CREATE TABLE operation (
  key TEXT PRIMARY KEY, server TEXT NOT NULL, migration TEXT NOT NULL, epoch INTEGER NOT NULL, verb TEXT NOT NULL,
  request_hash TEXT NOT NULL, state TEXT NOT NULL, outcome TEXT NOT NULL, at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX operation_by_migration ON operation (migration);
CREATE TABLE artifact (
  server TEXT NOT NULL, migration TEXT NOT NULL, path TEXT NOT NULL, kind TEXT NOT NULL,
  device TEXT NOT NULL, inode TEXT NOT NULL, birth_ns TEXT NOT NULL, PRIMARY KEY (server, migration, path)
) STRICT;
CREATE TABLE document (
  server TEXT NOT NULL, migration TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, at_ms INTEGER NOT NULL,
  PRIMARY KEY (server, migration, kind)
) STRICT;
CREATE TABLE tombstone (migration TEXT PRIMARY KEY, outcome TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
`,
  `
CREATE TABLE booking (
  server TEXT NOT NULL, incarnation TEXT NOT NULL, migration TEXT NOT NULL, hardware TEXT NOT NULL,
  PRIMARY KEY (server, incarnation)
) STRICT;
`,
  "ALTER TABLE guest ADD COLUMN term INTEGER NOT NULL DEFAULT 0",
];

export class Journal {
  readonly database: Database.Database;
  readonly #stateDir: string;

  private constructor(database: Database.Database, stateDir: string) {
    this.database = database;
    this.#stateDir = stateDir;
  }

  /** Opens or creates the journal in `stateDir`. A journal of a newer version, or one in use, is refused. */
  static open(stateDir: string): Journal {
    const database = new Database(join(stateDir, "journal.db"), { timeout: 100 });
    try {
      database.pragma("locking_mode = EXCLUSIVE");
      database.pragma("journal_mode = WAL");
      database.pragma("synchronous = FULL");
      migrateSchema(database);
    } catch (error) {
      database.close();
      throw asJournalFault(error, stateDir);
    }
    const journal = new Journal(database, stateDir);
    journal.#keepReserve();
    return journal;
  }

  close(): void {
    this.database.close();
  }

  /** Runs `body` in one durable transaction; a full disk costs the reserve, never the record. */
  write<T>(body: () => T): T {
    const transaction = this.database.transaction(body).immediate;
    try {
      return transaction();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      rmSync(this.#reservePath, { force: true });
      return transaction();
    }
  }

  /** Refuses to begin what could not be recorded. */
  assertRoom(): void {
    this.#keepReserve();
    const { bavail, bsize } = statfsSync(this.#stateDir);
    const freeBytes = bavail * bsize;
    if (existsSync(this.#reservePath) || freeBytes >= RESERVE_BYTES) return;
    throw new Fault(
      "out-of-space",
      `the agent's journal in ${this.#stateDir} has no room to record an operation`,
      {
        have: `${freeBytes} bytes free`,
        need: `${RESERVE_BYTES} bytes`,
        fix: `free space on the file system of ${this.#stateDir}`,
      },
    );
  }

  meta(key: string): string | undefined {
    const row = this.database
      .prepare<[string], { value: string }>("SELECT value FROM meta WHERE key = ?")
      .get(key);
    return row?.value;
  }

  setMeta(key: string, value: string): void {
    this.database
      .prepare("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
      .run(key, value);
  }

  get #reservePath(): string {
    return join(this.#stateDir, "reserve");
  }

  #keepReserve(): void {
    if (existsSync(this.#reservePath)) return;
    try {
      const fd = openSync(this.#reservePath, "wx", 0o600);
      try {
        const block = Buffer.alloc(1024 * 1024, 0xff);
        for (let written = 0; written < RESERVE_BYTES; written += block.length) writeSync(fd, block);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      rmSync(this.#reservePath, { force: true });
    }
  }
}

function migrateSchema(database: Database.Database): void {
  const version = Number(database.pragma("user_version", { simple: true }));
  if (version > UPGRADES.length) {
    throw new Fault("unsupported", "the agent's journal was written by a newer Ferry", {
      have: `journal version ${version}`,
      need: `journal version ${UPGRADES.length} or older`,
      fix: "install the ferry-agent of that version",
    });
  }
  database.transaction(() => {
    for (const upgrade of UPGRADES.slice(version)) database.exec(upgrade);
    database.pragma(`user_version = ${UPGRADES.length}`);
  })();
}

/** Of a file that another process holds, or that is no journal any more; an empty one in its place would know of no fence. */
function asJournalFault(error: unknown, stateDir: string): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  if (DAMAGED.some(code => error.code.startsWith(code)))
    return new Fault("corrupt", `the journal in ${stateDir} is damaged: ${error.message}`, {
      have: `${join(stateDir, "journal.db")} as it is`,
      need: "what this host has promised about its guests",
      fix: "do not start with an empty one: restore the file and follow docs/operating.md on restored hosts",
    });
  if (!error.code.startsWith("SQLITE_BUSY")) return error;
  return new Fault("conflict", `the journal in ${stateDir} is in use by another ferry-agent`, {
    fix: "stop the other agent, or give this one its own state_dir",
  });
}

const DAMAGED = ["SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_ERROR"];

function isDiskFull(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "SQLITE_FULL" || code === "ENOSPC";
}
