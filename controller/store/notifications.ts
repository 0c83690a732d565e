/**
 * The notification table: what happened to servers, migrations and hosts, for whoever follows it.
 *
 * A row is written with what it tells of, in one transaction, and numbered afterwards: so numbers are in the order in
 * which readers see them, also on a database where transactions run beside each other, and writers never wait for one
 * another. Only so many are kept.
 */

import { sql } from "kysely";
import { Event } from "../../proto/gen/ferry/v1/event.js";
import { fixedQuery } from "./fixed-query.js";
import type { Queries } from "./schema.js";
import type { Transactions } from "./store.js";

export interface Notification extends Omit<Event, "number"> {
  /** Unique; of one subject in the order in which things happened to it. */
  readonly id: string;
  /** To whom the server belongs; empty for a host. */
  readonly owner: string;
}

/** What only some may see, and what somebody asked for; what is absent does not matter. */
export interface NotificationFilter {
  readonly serverId?: string;
  readonly migrationId?: string;
  readonly host?: string;
  readonly type?: string;
  readonly visibleTo?: { readonly owner: string; readonly project: string | undefined };
}

export async function insertNotification(
  queries: Queries,
  { id, owner, ...event }: Notification,
): Promise<void> {
  const { atMs, type, serverId, project, migrationId, host } = event;
  const body = JSON.stringify(Event.toJSON({ ...event, number: 0 }));
  await insert(queries, id, atMs, type, serverId, owner, project, migrationId, host, body);
}

const insert = fixedQuery(
  (
    queries,
    id: string,
    at_ms: number,
    type: string,
    server_id: string,
    owner: string,
    project: string,
    migration_id: string,
    host: string,
    body: string,
  ) =>
    queries
      .insertInto("notification")
      .values({ id, number: 0, at_ms, type, server_id, owner, project, migration_id, host, body })
      .onConflict(conflict => conflict.column("id").doNothing()),
);

const NUMBERED_AT_ONCE = 500;

/** Numbers what was written since, and forgets all but the newest `kept`. Answers how many were new. */
export async function numberNotifications(store: Transactions, kept: number): Promise<number> {
  if (!(await hasUnnumbered(store.queries))) return 0;
  return store.transaction(async queries => {
    const rows = await queries
      .selectFrom("notification")
      .select(["id", "at_ms"])
      .where("number", "=", 0)
      .orderBy("at_ms")
      .orderBy("id")
      .limit(NUMBERED_AT_ONCE)
      .execute();
    let { newest } = await numbersOf(queries);
    for (const id of inOrder(rows.map(row => row.id))) {
      newest += 1;
      await queries.updateTable("notification").set({ number: newest }).where("id", "=", id).execute();
    }
    await queries
      .deleteFrom("notification")
      .where("number", ">", 0)
      .where("number", "<=", newest - kept)
      .execute();
    return rows.length;
  });
}

const unnumbered = fixedQuery(queries =>
  queries.selectFrom("notification").select("id").where("number", "=", 0).limit(1),
);

async function hasUnnumbered(queries: Queries): Promise<boolean> {
  const { rows } = await unnumbered(queries);
  return rows.length > 0;
}

/** By time, but never against the order of one subject, whose clock may have stepped. */
function inOrder(ids: readonly string[]): string[] {
  const bySubject = Map.groupBy(ids, subjectOf);
  const sorted = new Map([...bySubject].map(([subject, own]) => [subject, own.toSorted()]));
  return ids.flatMap(id => sorted.get(subjectOf(id))?.shift() ?? []);
}

const subjectOf = (id: string): string => id.slice(0, id.lastIndexOf("/"));

/** Of what is kept; both 0 when there was nothing yet. */
export async function numbersOf(
  queries: Queries,
): Promise<{ readonly oldest: number; readonly newest: number }> {
  const row = await queries
    .selectFrom("notification")
    .select(({ fn }) => [fn.min("number").as("oldest"), fn.max("number").as("newest")])
    .where("number", ">", 0)
    .executeTakeFirst();
  return { oldest: Number(row?.oldest ?? 0), newest: Number(row?.newest ?? 0) };
}

interface Range {
  readonly after: number;
  readonly upTo: number;
  readonly limit: number;
  readonly from: "oldest" | "newest";
}

/** Numbered ones, oldest first. */
export async function readNotifications(
  queries: Queries,
  { serverId, migrationId, host, type, visibleTo }: NotificationFilter,
  { after, upTo, limit, from }: Range,
): Promise<Event[]> {
  let query = queries
    .selectFrom("notification")
    .select(["number", "body"])
    .where("number", ">", after)
    .where("number", "<=", upTo)
    .orderBy("number", from === "oldest" ? "asc" : "desc")
    .limit(limit);
  if (serverId !== undefined) query = query.where("server_id", "=", serverId);
  if (migrationId !== undefined) query = query.where("migration_id", "=", migrationId);
  if (host !== undefined) query = query.where("host", "=", host);
  if (type !== undefined) query = query.where(sql<string>`substr(type, 1, ${type.length})`, "=", type);
  if (visibleTo !== undefined) {
    const { owner, project } = visibleTo;
    query = query.where(where =>
      project === undefined
        ? where("owner", "=", owner)
        : where.or([
            where("project", "=", project),
            where.and([where("project", "=", ""), where("owner", "=", owner)]),
          ]),
    );
  }
  const events = (await query.execute()).map(row => eventOf(row.body, row.number));
  return from === "oldest" ? events : events.toReversed();
}

const eventOf = (body: string, number: number): Event => ({ ...Event.fromJSON(JSON.parse(body)), number });
