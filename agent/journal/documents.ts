/**
 * JSON documents kept per server and migration (saved state, manifest, plan, receipts) and the tombstones of
 * migrations that are closed here (SAFETY R13).
 */

import { readStored } from "../../proto/stored.js";
import type { Journal } from "./journal.js";

export class Documents {
  readonly #journal: Journal;
  readonly #now: () => number;

  constructor(journal: Journal, now: () => number) {
    this.#journal = journal;
    this.#now = now;
  }

  put(serverId: string, migrationId: string, kind: string, body: unknown): void {
    const statement = this.#journal.database.prepare(`
      INSERT INTO document VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (server, migration, kind) DO UPDATE SET body = excluded.body, at_ms = excluded.at_ms`);
    this.#journal.write(() => statement.run(serverId, migrationId, kind, JSON.stringify(body), this.#now()));
  }

  /** The parsed document, or undefined. The caller names the type that it put there. */
  get<T>(serverId: string, migrationId: string, kind: string): T | undefined {
    const row = this.#journal.database
      .prepare<[string, string, string], { body: string }>(
        "SELECT body FROM document WHERE server = ? AND migration = ? AND kind = ?",
      )
      .get(serverId, migrationId, kind);
    return row && documentOf<T>(row.body, `${kind} of ${migrationId || serverId}`);
  }

  /** All documents whose kind matches (SQL LIKE), whichever server and migration they belong to. */
  list<T>(kindPattern: string): { serverId: string; migrationId: string; body: T }[] {
    return this.#journal.database
      .prepare<[string], { server: string; migration: string; body: string }>(
        "SELECT server, migration, body FROM document WHERE kind LIKE ? ORDER BY server, migration",
      )
      .all(kindPattern)
      .map(({ server, migration, body }) => ({
        serverId: server,
        migrationId: migration,
        body: documentOf<T>(body, `a document of ${migration || server}`),
      }));
  }

  remove(serverId: string, migrationId: string, kind: string): void {
    const statement = this.#journal.database.prepare(
      "DELETE FROM document WHERE server = ? AND migration = ? AND kind = ?",
    );
    this.#journal.write(() => statement.run(serverId, migrationId, kind));
  }

  closeMigration(migrationId: string, outcome: string): void {
    const statement = this.#journal.database.prepare(
      "INSERT INTO tombstone VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    );
    this.#journal.write(() => statement.run(migrationId, outcome, this.#now()));
  }

  /** How a migration was closed here, or undefined while it is open or unknown. */
  tombstone(migrationId: string): string | undefined {
    const row = this.#journal.database
      .prepare<[string], { outcome: string }>("SELECT outcome FROM tombstone WHERE migration = ?")
      .get(migrationId);
    return row?.outcome;
  }
}

/** The document that a row holds; a fault when it cannot be one. */
export const documentOf = <T>(body: string, what: string): T =>
  readStored(`the agent's journal: ${what}`, () => parse<T>(body));

/** As it was put there: bytes, which JSON writes as an object of their numbers, are bytes again. */
function parse<T>(body: string): T {
  const value: unknown = JSON.parse(body);
  return (body.includes('"Buffer"') ? withBytes(value) : value) as T;
}

/** Several times as fast as a reviver, which is told of every byte. */
function withBytes(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withBytes);
  if (isWrittenBytes(value)) return Buffer.from(value.data);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withBytes(item)]));
}

const isWrittenBytes = (value: object): value is { readonly type: "Buffer"; readonly data: number[] } =>
  "type" in value && value.type === "Buffer" && "data" in value;
