/**
 * Stands for `better-sqlite3`: real SQLite, in memory that belongs to the machine's disk.
 *
 * What is committed survives the process. It survives a power cut only if the connection asked for it
 * (`synchronous = FULL`); otherwise no commit since it was opened is on the disk. A full disk refuses commits as SQLite does.
 */

import Sqlite from "better-sqlite3";
import { type Process, ProcessDied, stepNow } from "../world/process.js";

const ROOM_FOR_A_COMMIT = 64 * 1024;

/** One database file of a machine. */
export class DatabaseFile {
  database: Sqlite.Database;
  holder: Process | undefined;
  isDurable = true;
  #words:
    | {
        readonly begin: Record<"deferred" | "immediate", Sqlite.Statement>;
        readonly commit: Sqlite.Statement;
        readonly rollback: Sqlite.Statement;
      }
    | undefined;
  /** What a power cut goes back to, while commits are not durable. */
  #before: Buffer | undefined;

  constructor(content?: Buffer) {
    this.database = content === undefined ? new Sqlite(":memory:") : new Sqlite(content);
  }

  beforeCommit(): void {
    if (!this.isDurable) this.#before ??= this.database.serialize();
  }

  /** As `transaction` of the original does, which makes five functions for each. */
  transact<T>(kind: "deferred" | "immediate", body: () => T): T {
    const { database } = this;
    if (database.inTransaction) return database.transaction(body)();
    this.#words ??= {
      begin: { deferred: database.prepare("BEGIN DEFERRED"), immediate: database.prepare("BEGIN IMMEDIATE") },
      commit: database.prepare("COMMIT"),
      rollback: database.prepare("ROLLBACK"),
    };
    const { begin, commit, rollback } = this.#words;
    begin[kind].run();
    try {
      const result = body();
      commit.run();
      return result;
    } finally {
      if (database.inTransaction) rollback.run();
    }
  }

  /** Whoever had it open is gone. */
  release(): void {
    if (this.database.inTransaction) this.database.exec("ROLLBACK");
    this.holder = undefined;
  }

  losePower(): void {
    this.release();
    if (this.#before === undefined) return;
    this.database.close();
    this.database = new Sqlite(this.#before);
    this.#words = undefined;
    this.#before = undefined;
  }
}

const templates = new Map<string, Buffer>();

/** A fresh database of a kind is always the same: made by the product once, copied from then on. */
export function freshDatabase(kind: string): DatabaseFile {
  return new DatabaseFile(templates.get(kind));
}

export function rememberFresh(kind: string, file: DatabaseFile): void {
  if (!templates.has(kind)) templates.set(kind, file.database.serialize());
}

class Database {
  static SqliteError = Sqlite.SqliteError;
  readonly #file: DatabaseFile;
  readonly #process: Process;
  readonly #release = () => this.#file.release();
  readonly #statements = new Map<string, Sqlite.Statement>();

  constructor(path: string) {
    const process = stepNow();
    this.#process = process;
    this.#file = process.machine.database(path);
    const { holder } = this.#file;
    if (holder !== undefined && holder.state !== "dead" && holder !== process)
      throw new Sqlite.SqliteError("database is locked", "SQLITE_BUSY");
    this.#file.holder = process;
    process.onDeath.add(this.#release);
  }

  get inTransaction(): boolean {
    return this.#file.database.inTransaction;
  }

  pragma(text: string, options?: Sqlite.PragmaOptions): unknown {
    this.#alive();
    if (/^synchronous\s*=/i.test(text)) this.#file.isDurable = /FULL|EXTRA|2|3/i.test(text);
    if (/^(journal_mode|locking_mode)\s*=/i.test(text)) return undefined;
    return this.#file.database.pragma(text, options);
  }

  exec(sql: string): this {
    this.#alive();
    this.#file.database.exec(sql);
    return this;
  }

  prepare(sql: string): Sqlite.Statement {
    this.#alive();
    if (!this.#process.step()) throw new ProcessDied();
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#file.database.prepare(sql);
    if (!statement.reader && /^(commit|begin)/i.test(sql)) return this.#guarded(statement);
    this.#statements.set(sql, statement);
    return statement;
  }

  /** Kysely writes its transactions out. */
  #guarded(statement: Sqlite.Statement): Sqlite.Statement {
    const run = (...args: unknown[]) => {
      this.#alive();
      this.#requireRoom();
      this.#file.beforeCommit();
      return statement.run(...args);
    };
    return new Proxy(statement, {
      get: (target, name) => (name === "run" ? run : Reflect.get(target, name, target)),
    });
  }

  transaction(body: (...args: unknown[]) => unknown) {
    const carryOut =
      (kind: "deferred" | "immediate") =>
      (...args: unknown[]) => {
        stepNow();
        this.#requireRoom();
        this.#file.beforeCommit();
        const result = this.#file.transact(kind, () => body(...args));
        // Committed; whether anybody learns of it is another question.
        if (!this.#process.step()) throw new ProcessDied();
        return result;
      };
    return Object.assign(carryOut("deferred"), { immediate: carryOut("immediate") });
  }

  close(): this {
    if (this.#process.state !== "dead") this.#file.release();
    this.#process.onDeath.delete(this.#release);
    return this;
  }

  #alive(): void {
    if (this.#process.state === "dead" || this.#file.holder !== this.#process) throw new ProcessDied();
  }

  #requireRoom(): void {
    const { disk } = this.#process.machine;
    if (disk.isFailing) throw new Sqlite.SqliteError("disk I/O error", "SQLITE_IOERR");
    if (disk.freeBytes < ROOM_FOR_A_COMMIT)
      throw new Sqlite.SqliteError("database or disk is full", "SQLITE_FULL");
  }
}

// biome-ignore lint/style/noDefaultExport: what it stands for has one
export default Database;
