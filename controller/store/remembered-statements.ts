/**
 * SQLite's statements, prepared once: the same few hundred texts are asked over and over, and preparing one costs as
 * much as carrying it out. Texts that carry lists come in many lengths, so the memory has an end.
 */

import type Database from "better-sqlite3";

const MOST_STATEMENTS = 500;

/** What Kysely needs of a database. */
export class RememberedStatements {
  readonly #database: Database.Database;
  readonly #statements = new Map<string, Database.Statement>();

  constructor(database: Database.Database) {
    this.#database = database;
  }

  prepare(text: string): Database.Statement {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    if (this.#statements.size >= MOST_STATEMENTS) this.#statements.clear();
    const statement = this.#database.prepare(text);
    this.#statements.set(text, statement);
    return statement;
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }
}
