/**
 * Hints by NOTIFY and LISTEN, on a connection of their own. It is opened again when it breaks; what was said meanwhile is
 * lost, so everybody is told to look at everything then, and every few seconds anyway.
 */

import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { Client } from "pg";
import type { HintListener, Hints, Topic } from "./hints.js";
import { connectionOptions } from "./postgres-pool.js";
import type { Queries } from "./schema.js";

const CHANNEL = "ferry";
const LOOK_AGAIN_MS = 2_000;
const RECONNECT_MS = 1_000;
const TOPICS: readonly Topic[] = ["migration", "saga", "turn"];

export class PostgresHints implements Hints {
  /** By which one's own words are known. */
  readonly #name = randomUUID();
  readonly #url: string;
  readonly #queries: Queries;
  readonly #onReconnected: () => Promise<void>;
  readonly #listeners = new Set<HintListener>();
  readonly #said = new Set<Promise<unknown>>();
  readonly #ticking: NodeJS.Timeout;
  #connection: Client | undefined;
  #reconnecting: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(url: string, queries: Queries, onReconnected: () => Promise<void>) {
    this.#url = url;
    this.#queries = queries;
    this.#onReconnected = onReconnected;
    this.#ticking = setInterval(() => this.#tellAll(), LOOK_AGAIN_MS).unref();
    void this.#connect(async () => {});
  }

  announce(topic: Topic, id: string): void {
    const saying = sql`SELECT pg_notify(${CHANNEL}, ${`${this.#name} ${topic} ${id}`})`
      .execute(this.#queries)
      .catch(() => undefined)
      .finally(() => this.#said.delete(saying));
    this.#said.add(saying);
  }

  listen(listener: HintListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#ticking);
    clearTimeout(this.#reconnecting);
    await Promise.all(this.#said);
    await this.#connection?.end().catch(() => undefined);
  }

  async #connect(onConnected: () => Promise<void>): Promise<void> {
    const connection = new Client({ ...connectionOptions(this.#url), query_timeout: 0 });
    this.#connection = connection;
    connection.on("notification", ({ payload = "" }) => this.#hear(payload));
    connection.on("error", () => undefined);
    connection.on("end", () => this.#reconnect());
    try {
      await connection.connect();
      await connection.query(`LISTEN ${CHANNEL}`);
      await onConnected();
      this.#tellAll();
    } catch {
      // `end` follows where there was a connection; where there was none, this is the only word.
      this.#reconnect();
    }
  }

  #reconnect(): void {
    if (this.#closed) return;
    clearTimeout(this.#reconnecting);
    this.#reconnecting = setTimeout(() => void this.#connect(this.#onReconnected), RECONNECT_MS).unref();
  }

  #hear(payload: string): void {
    const [speaker, word, id] = payload.split(" ");
    const topic = TOPICS.find(known => known === word);
    if (speaker !== this.#name && topic !== undefined && id !== undefined) this.#tell(topic, id);
  }

  #tellAll(): void {
    for (const topic of TOPICS) this.#tell(topic, undefined);
  }

  #tell(topic: Topic, id: string | undefined): void {
    for (const listener of this.#listeners) listener(topic, id);
  }
}
