/**
 * Transactions that wait for each other share one commit. A commit costs a write that reaches the disk, far more than
 * the transaction before it; with one connection they would pay for it one after the other. One that waits alone is the
 * whole of its commit, and needs no savepoint.
 *
 *     BEGIN
 *       SAVEPOINT  first's queries   RELEASE             resolves after COMMIT
 *       SAVEPOINT  second's queries  ROLLBACK TO         rejects, leaves nothing
 *       …
 *     COMMIT                                             fails: all reject, none has written
 *
 * Each sees what those before it wrote and is undone alone; nobody is answered before the commit is durable.
 */

import { sql } from "kysely";
import type { Queries } from "./schema.js";

interface Member {
  /** Resolves with what tells the caller, once the group is committed. */
  readonly carryOut: (queries: Queries) => Promise<() => void>;
  readonly reject: (error: unknown) => void;
}

interface Edges {
  /** False when the database has rolled back by itself, as SQLite does when the disk is full. */
  readonly isInTransaction: () => boolean;
  readonly onCommit: () => void;
}

/** A group ends when nobody waits any more, or with so many: the first should not wait for ever. */
const MOST_MEMBERS = 64;

export class GroupCommit {
  readonly #queries: Queries;
  readonly #edges: Edges;
  #waiting: Member[] = [];
  #isRunning = false;

  constructor(queries: Queries, edges: Edges) {
    this.#queries = queries;
    this.#edges = edges;
  }

  transaction<T>(body: (queries: Queries) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const carryOut = async (queries: Queries) => {
        const result = await body(queries);
        return () => resolve(result);
      };
      this.#waiting.push({ carryOut, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) await this.#commit(this.#waiting.splice(0, MOST_MEMBERS));
    this.#isRunning = false;
  }

  async #commit(group: readonly Member[]): Promise<void> {
    const tell: (() => void)[] = [];
    try {
      await this.#queries.transaction().execute(async queries => {
        const isAlone = group.length === 1;
        for (const member of group)
          tell.push(await (isAlone ? member.carryOut(queries) : this.#apart(queries, member)));
      });
    } catch (error) {
      for (const { reject } of group) reject(error);
      return;
    }
    this.#edges.onCommit();
    for (const answer of tell) answer();
  }

  async #apart(queries: Queries, { carryOut, reject }: Member): Promise<() => void> {
    await sql`SAVEPOINT member`.execute(queries);
    try {
      const answer = await carryOut(queries);
      await sql`RELEASE member`.execute(queries);
      return answer;
    } catch (error) {
      // Then those before it have lost what they wrote, too, and must not be told otherwise.
      if (!this.#edges.isInTransaction()) throw error;
      await sql`ROLLBACK TO member`.execute(queries);
      await sql`RELEASE member`.execute(queries);
      return () => reject(error);
    }
  }
}
