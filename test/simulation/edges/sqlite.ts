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
  readonly kind: string;
  database: Sqlite.Database;
  holder: Process | undefined;
  isDurable = true;
  /** Prepared once, however often the file is opened. */
  readonly #statements = new Map<string, Sqlite.Statement>();
  readonly #settings = new Set<string>();
  /** What a power cut goes back to, while commits are not durable. */
  #before: Buffer | undefined;

  constructor(kind: string, content?: Buffer) {
    this.kind = kind;
    this.database = content === undefined ? new Sqlite(":memory:") : new Sqlite(content);
  }

  prepare(sql: string): Sqlite.Statement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  /** To set again what is set would make SQLite prepare everything anew. */
  pragma(text: string, options?: Sqlite.PragmaOptions): unknown {
    if (!/^(foreign_keys|case_sensitive_like)\s*=/i.test(text)) return this.database.pragma(text, options);
    if (this.#settings.has(text)) return undefined;
    this.#settings.add(text);
    return this.database.pragma(text, options);
  }

  beforeCommit(): void {
    if (!this.isDurable) this.#before ??= this.database.serialize();
  }

  /** The first transaction of all makes the schema. */
  committed(): void {
    if (!fresh.has(this.kind)) fresh.set(this.kind, freshFrom(this.database));
  }

  /** As `transaction` of the original does, which makes five functions for each. */
  transact<T>(kind: "deferred" | "immediate", body: () => T): T {
    const { database } = this;
    if (database.inTransaction) return database.transaction(body)();
    this.prepare(kind === "deferred" ? "BEGIN DEFERRED" : "BEGIN IMMEDIATE").run();
    try {
      const result = body();
      this.prepare("COMMIT").run();
      return result;
    } finally {
      if (database.inTransaction) this.prepare("ROLLBACK").run();
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
    this.#statements.clear();
    this.#settings.clear();
    this.database = new Sqlite(this.#before);
    this.#before = undefined;
  }

  /** As it was when the product had just made it. */
  renew({ emptying, filling }: FreshDatabase): void {
    this.release();
    this.isDurable = true;
    this.#before = undefined;
    for (const sql of emptying) this.prepare(sql).run();
    for (const { sql, row } of filling) this.prepare(sql).run(...row);
  }
}

/** How a database of a kind is made to what the product's first transaction made of it. */
interface FreshDatabase {
  readonly content: Buffer;
  readonly emptying: readonly string[];
  readonly filling: readonly { readonly sql: string; readonly row: readonly unknown[] }[];
}

const fresh = new Map<string, FreshDatabase>();
const used: DatabaseFile[] = [];

/** Of a kind that was made before: as the product made it. Its memory and statements may have been another world's. */
export function freshDatabase(kind: string): DatabaseFile {
  const known = fresh.get(kind);
  const at = used.findIndex(file => file.kind === kind);
  const [file] = at === -1 ? [] : used.splice(at, 1);
  if (file === undefined || known === undefined) return new DatabaseFile(kind, known?.content);
  file.renew(known);
  return file;
}

/** Its world is over. */
export function giveBack(file: DatabaseFile): void {
  used.push(file);
}

/** Those that refer to others were made after them. */
function freshFrom(database: Sqlite.Database): FreshDatabase {
  const tables = database
    .prepare<[], { name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid DESC")
    .all();
  const rowsOf = (name: string) => database.prepare(`SELECT * FROM ${name}`).raw().all() as unknown[][];
  return {
    content: database.serialize(),
    emptying: tables.map(({ name }) => `DELETE FROM ${name}`),
    filling: tables.flatMap(({ name }) =>
      rowsOf(name).map(row => ({
        sql: `INSERT INTO ${name} VALUES (${row.map(() => "?").join(", ")})`,
        row,
      })),
    ),
  };
}

/** What a process prepared. Nothing of a dead one reaches the file, and what it commits may be the last that it does. */
class Statement {
  readonly #connection: Database;
  readonly #statement: Sqlite.Statement;
  readonly #isCommit: boolean;

  constructor(connection: Database, statement: Sqlite.Statement) {
    this.#connection = connection;
    this.#statement = statement;
    this.#isCommit = /^commit/i.test(statement.source);
  }

  get reader(): boolean {
    return this.#statement.reader;
  }

  all(...values: unknown[]): unknown[] {
    this.#connection.requireAlive();
    return this.#statement.all(...values);
  }

  get(...values: unknown[]): unknown {
    this.#connection.requireAlive();
    return this.#statement.get(...values);
  }

  run(...values: unknown[]): Sqlite.RunResult {
    const connection = this.#connection;
    connection.requireAlive();
    if (connection.inTransaction && !this.#isCommit) return this.#statement.run(...values);
    return connection.commit(() => this.#statement.run(...values));
  }
}

class Database {
  static SqliteError = Sqlite.SqliteError;
  readonly #file: DatabaseFile;
  readonly #process: Process;
  readonly #release = () => this.#file.release();
  readonly #statements = new Map<string, Statement>();

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
    this.requireAlive();
    if (/^synchronous\s*=/i.test(text)) this.#file.isDurable = /FULL|EXTRA|2|3/i.test(text);
    if (/^(journal_mode|locking_mode)\s*=/i.test(text)) return undefined;
    return this.#file.pragma(text, options);
  }

  exec(sql: string): this {
    this.requireAlive();
    this.#file.database.exec(sql);
    return this;
  }

  prepare(sql: string): Statement {
    this.requireAlive();
    if (!this.#process.step()) throw new ProcessDied();
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = new Statement(this, this.#file.prepare(sql));
    this.#statements.set(sql, statement);
    return statement;
  }

  transaction(body: (...args: unknown[]) => unknown) {
    const carryOut =
      (kind: "deferred" | "immediate") =>
      (...args: unknown[]) => {
        stepNow();
        return this.commit(() => this.#file.transact(kind, () => body(...args)));
      };
    return Object.assign(carryOut("deferred"), { immediate: carryOut("immediate") });
  }

  /** `body` ends a transaction, or is one; so is the beginning of one that writes nothing. */
  commit<T>(body: () => T): T {
    this.#requireRoom();
    this.#file.beforeCommit();
    const result = body();
    if (!this.inTransaction) this.#file.committed();
    // Whether anybody learns of it is another question.
    if (!this.#process.step()) throw new ProcessDied();
    return result;
  }

  close(): this {
    if (this.#process.state !== "dead") this.#file.release();
    this.#process.onDeath.delete(this.#release);
    return this;
  }

  requireAlive(): void {
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
