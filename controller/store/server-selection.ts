/**
 * Which servers, in which order, and which page of them: asked of the database, so that a page of 50 costs 50 rows.
 *
 * A page begins where its marker's own value of the sort key says, so that what comes and goes meanwhile neither repeats
 * nor hides anything else.
 */

import { type Expression, expressionBuilder, type SelectQueryBuilder, type SqlBool, sql } from "kysely";
import { Fault } from "../../proto/fault.js";
import { jsonField } from "./dialect.js";
import { likeOf } from "./name-pattern.js";
import type { Queries, Schema, ServerTable } from "./schema.js";

/** Everything that is given must hold. */
export interface ServerSelection {
  readonly id?: string | undefined;
  readonly host?: string | undefined;
  /** Derived, such as ACTIVE. */
  readonly status?: string | undefined;
  /** See `name-pattern`. */
  readonly name?: string | undefined;
  readonly vmState?: string | undefined;
  readonly taskState?: string | undefined;
  readonly powerState?: string | undefined;
  /** Id of the flavor. */
  readonly flavor?: string | undefined;
  readonly image?: string | undefined;
  /** `user/ana` */
  readonly owner?: string | undefined;
  /** Of this project, or of none. */
  readonly project?: string | undefined;
  /** The project, or the owner's name where there is none. */
  readonly tenant?: string | undefined;
  readonly locked?: boolean | undefined;
  readonly changedSinceMs?: number | undefined;
  readonly changedUntilMs?: number | undefined;
  readonly visibleTo?: Viewer | undefined;
  readonly order?: ServerOrder | undefined;
  /** Id of the server after which the page begins. */
  readonly marker?: string | undefined;
  readonly limit?: number | undefined;
}

/** Who sees a server that belongs to the project, or to themselves where there is none. */
export interface Viewer {
  readonly owner: string;
  readonly project: string | undefined;
}

export interface ServerOrder {
  readonly key: string;
  readonly descending: boolean;
}

const BY_NAME: ServerOrder = { key: "display_name", descending: false };

export async function selectServers(queries: Queries, selection: ServerSelection): Promise<ServerTable[]> {
  const { order = BY_NAME, marker, limit } = selection;
  const key = sortExpression(queries, order.key);
  let query = narrow(queries.selectFrom("server"), queries, selection).selectAll();
  if (marker !== undefined) query = query.where(await behindMarker(queries, selection, order, marker));
  if (limit !== undefined) query = query.limit(limit);
  const direction = order.descending ? "desc" : "asc";
  return query.orderBy(key, direction).orderBy("id", direction).execute();
}

type ServerQuery<Row> = SelectQueryBuilder<Schema, "server", Row>;

function narrow<Row>(
  query: ServerQuery<Row>,
  queries: Queries,
  selection: ServerSelection,
): ServerQuery<Row> {
  const { name, status, project, tenant, flavor, locked, visibleTo } = selection;
  const where = expressionBuilder<Schema, "server">();
  const conditions = [
    ...equal("id", selection.id),
    ...equal("host", selection.host),
    ...equal("vm_state", selection.vmState),
    ...equal("task_state", selection.taskState),
    ...equal("power_state", selection.powerState),
    ...equal("image", selection.image),
    ...equal("owner", selection.owner),
    ...given(name, text => sql<SqlBool>`name LIKE ${likeOf(text)} ESCAPE '\\'`),
    ...given(status, text => sql<SqlBool>`${STATUS} = ${text}`),
    ...given(project, text => where("project", "in", ["", text])),
    ...given(tenant, text => sql<SqlBool>`${TENANT} = ${text}`),
    ...given(flavor, text => sql<SqlBool>`${jsonField(queries, "flavor", "id")} = ${text}`),
    ...given(locked, isLocked => where("locked_by", isLocked ? "<>" : "=", "")),
    ...given(selection.changedSinceMs, ms => where("updated_at_ms", ">=", ms)),
    ...given(selection.changedUntilMs, ms => where("updated_at_ms", "<=", ms)),
    ...given(visibleTo, isVisible),
  ];
  return query.where(({ and }) => and(conditions));
}

type Condition = Expression<SqlBool>;

const given = <Value>(value: Value | undefined, condition: (value: Value) => Condition): Condition[] =>
  value === undefined ? [] : [condition(value)];

const equal = (
  column: "id" | "host" | "vm_state" | "task_state" | "power_state" | "image" | "owner",
  value: string | undefined,
) => given(value, text => expressionBuilder<Schema, "server">()(column, "=", text));

/** What `owns` in the policy says of one server. */
export function isVisible({ owner, project }: Viewer): Condition {
  if (project === undefined) return sql<SqlBool>`owner = ${owner}`;
  return sql<SqlBool>`CASE WHEN project = '' THEN owner = ${owner} ELSE project = ${project} END`;
}

/** What `statusOf` says of one server. */
const STATUS = sql<string>`CASE
  WHEN vm_state = 'error' THEN 'ERROR'
  WHEN vm_state = 'building' THEN 'BUILD'
  WHEN vm_state = 'resized' AND task_state = 'resize_reverting' THEN 'REVERT_RESIZE'
  WHEN vm_state = 'resized' THEN 'VERIFY_RESIZE'
  WHEN substr(task_state, 1, 7) = 'resize_' THEN 'RESIZE'
  WHEN vm_state = 'stopped' THEN 'SHUTOFF'
  ELSE 'ACTIVE' END`;

const TENANT = sql<string>`CASE
  WHEN project <> '' THEN project
  WHEN substr(owner, 1, 5) = 'user/' THEN substr(owner, 6)
  ELSE owner END`;

const SORT_COLUMNS: Readonly<Record<string, Expression<unknown>>> = {
  created_at: sql`created_at_ms`,
  updated_at: sql`updated_at_ms`,
  display_name: sql`name`,
  host: sql`host`,
  uuid: sql`id`,
  power_state: sql`power_state`,
  project_id: TENANT,
  task_state: sql`task_state`,
  vm_state: sql`vm_state`,
};

export const SERVER_SORT_KEYS: readonly string[] = [...Object.keys(SORT_COLUMNS), "instance_type_id"];

function sortExpression(queries: Queries, key: string): Expression<unknown> {
  if (key === "instance_type_id") return jsonField(queries, "flavor", "id");
  const column = Object.hasOwn(SORT_COLUMNS, key) ? SORT_COLUMNS[key] : undefined;
  if (column !== undefined) return column;
  throw new Fault("invalid-argument", `servers cannot be sorted by ${JSON.stringify(key)}`, {
    need: SERVER_SORT_KEYS.join(", "),
  });
}

/** The marker itself need not be among the servers that are asked for, only among those that the caller may see. */
async function behindMarker(
  queries: Queries,
  { visibleTo }: ServerSelection,
  { key, descending }: ServerOrder,
  marker: string,
): Promise<Condition> {
  const value = sortExpression(queries, key);
  const row = await narrow(queries.selectFrom("server"), queries, { id: marker, visibleTo })
    .select(sql<string | number>`${value}`.as("value"))
    .executeTakeFirst();
  if (row === undefined) throw new Fault("invalid-argument", `marker [${marker}] not found`);
  const side = sql.raw(descending ? "<" : ">");
  return sql<SqlBool>`(${value}, id) ${side} (${row.value}, ${marker})`;
}
