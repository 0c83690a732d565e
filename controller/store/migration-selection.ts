/** Which migrations, newest first, and which page of them: asked of the database. */

import { type Expression, expressionBuilder, type SelectQueryBuilder, type SqlBool, sql } from "kysely";
import { Fault } from "../../proto/fault.js";
import type { Queries, Schema } from "./schema.js";
import { isVisible, type Viewer } from "./server-selection.js";

/** Everything that is given must hold. */
export interface MigrationSelection {
  readonly serverId?: string | undefined;
  /** Ferry's, with `stuck`. */
  readonly status?: string | undefined;
  readonly novaStatus?: string | undefined;
  /** Source or target. */
  readonly host?: string | undefined;
  readonly sourceHost?: string | undefined;
  readonly type?: string | undefined;
  /** `user/ana` */
  readonly requestedBy?: string | undefined;
  readonly project?: string | undefined;
  readonly changedSinceMs?: number | undefined;
  readonly changedUntilMs?: number | undefined;
  /** Ended then or later; those that have not ended are left out. */
  readonly endedSinceMs?: number | undefined;
  /** Not ended: on their way, stuck, or waiting for a verdict. */
  readonly live?: boolean | undefined;
  readonly visibleTo?: Viewer | undefined;
  /** Id of the migration after which the page begins. */
  readonly marker?: string | undefined;
  readonly limit?: number | undefined;
}

export type MigrationQuery<Row> = SelectQueryBuilder<Schema, "migration", Row>;

const DEFAULT_LIMIT = 1000;

/** Which rows, whatever is selected of them. */
export async function pageOfMigrations(
  queries: Queries,
  selection: MigrationSelection,
): Promise<MigrationQuery<object>> {
  const { marker, limit = DEFAULT_LIMIT } = selection;
  let query = narrow(queries, selection);
  if (marker !== undefined) query = query.where("number", "<", await numberOf(queries, selection, marker));
  return query.orderBy("number", "desc").limit(limit);
}

function narrow(queries: Queries, selection: MigrationSelection): MigrationQuery<object> {
  const { status, novaStatus, host, changedSinceMs, changedUntilMs, endedSinceMs, live, visibleTo } =
    selection;
  const where = expressionBuilder<Schema, "migration">();
  const conditions = [
    ...equal("server_id", selection.serverId),
    ...equal("source_host", selection.sourceHost),
    ...equal("type", selection.type),
    ...equal("requested_by", selection.requestedBy),
    ...equal("project", selection.project),
    ...given(status, text =>
      text === "stuck"
        ? where("stuck", "=", 1)
        : where.and([where("status", "=", text), where("stuck", "=", 0)]),
    ),
    ...given(novaStatus, text => sql<SqlBool>`${NOVA_STATUS} = ${text}`),
    ...given(host, name => where.or([where("source_host", "=", name), where("target_host", "=", name)])),
    ...given(changedSinceMs, ms => where("updated_at_ms", ">=", ms)),
    ...given(changedUntilMs, ms => where("updated_at_ms", "<=", ms)),
    ...given(endedSinceMs, ms => where("ended_at_ms", ">=", Math.max(1, ms))),
    ...(live === true ? [where("ended_at_ms", "=", 0)] : []),
    ...given(visibleTo, viewer => isSeenBy(queries, viewer)),
  ];
  return queries.selectFrom("migration").where(({ and }) => and(conditions));
}

type Condition = Expression<SqlBool>;

const given = <Value>(value: Value | undefined, condition: (value: Value) => Condition): Condition[] =>
  value === undefined ? [] : [condition(value)];

type TextColumn = "server_id" | "source_host" | "type" | "requested_by" | "project";
const equal = (column: TextColumn, value: string | undefined) =>
  given(value, text => expressionBuilder<Schema, "migration">()(column, "=", text));

/**
 * Nova knows no `stuck`: such a migration goes on as soon as it can, or waits for a person; either way it holds the
 * server, and its step says where. A migration that was just claimed has no status in Ferry yet.
 */
const NOVA_STATUS = sql<string>`CASE
  WHEN stuck = 1 AND step IN ('retire-source', 'release') THEN 'confirming'
  WHEN stuck = 1 THEN 'post-migrating'
  WHEN status = '' THEN 'pre-migrating'
  ELSE status END`;

/** Those of the caller's servers, and what was asked from the caller's project of servers that are gone. */
function isSeenBy(queries: Queries, viewer: Viewer): Condition {
  const where = expressionBuilder<Schema, "migration">();
  const servers = queries.selectFrom("server").select("id").where(isVisible(viewer));
  const { owner, project = "" } = viewer;
  const isOwn = project === "" ? where("requested_by", "=", owner) : where("project", "=", project);
  return where.or([where("server_id", "in", servers), isOwn]);
}

async function numberOf(
  queries: Queries,
  { visibleTo }: MigrationSelection,
  marker: string,
): Promise<number> {
  const row = await narrow(queries, { visibleTo })
    .select("number")
    .where("id", "=", marker)
    .executeTakeFirst();
  if (row === undefined) throw new Fault("invalid-argument", `marker [${marker}] not found`);
  return row.number;
}
