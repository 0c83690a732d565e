/** /os-migrations and a server's own; those of a server are live ones in Nova, of which there are none here. */

import { MigrationServiceService } from "../../../../proto/gen/ferry/v1/controller.js";
import type { Migration } from "../../../../proto/gen/ferry/v1/model.js";
import { NovaError } from "../nova-error.js";
import { nextLinks, pageOf } from "../page.js";
import { isAdmin, type NovaRequest, ok, type Route } from "../route.js";
import { requireValid, type Schema } from "../schema.js";
import { serverById } from "../server-by-id.js";
import { readTime } from "../times.js";
import { migrationView } from "../views/migration-view.js";

export const migrationRoutes: readonly Route[] = [
  { method: "GET", path: "/os-migrations", answer: list },
  { method: "GET", path: "/servers/:id/migrations", since: 23, answer: ofServer },
  { method: "GET", path: "/servers/:id/migrations/:migration", since: 23, answer: notLive },
  { method: "DELETE", path: "/servers/:id/migrations/:migration", since: 24, answer: abort },
  { method: "POST", path: "/servers/:id/migrations/:migration/action", since: 22, answer: forceComplete },
];

const TEXT: Schema = { type: "string" };
const FILTERS = {
  hidden: TEXT,
  host: TEXT,
  instance_uuid: TEXT,
  source_compute: TEXT,
  status: TEXT,
  migration_type: TEXT,
};

function querySchema(version: number): Schema {
  if (version < 59) return { type: "object", properties: FILTERS };
  const properties = {
    ...FILTERS,
    limit: { type: "string", pattern: "^[0-9]*$" },
    marker: { type: "string", minLength: 1 },
    "changes-since": TEXT,
    ...(version >= 66 ? { "changes-before": TEXT } : {}),
    ...(version >= 80 ? { user_id: TEXT, project_id: TEXT } : {}),
  } satisfies Record<string, Schema>;
  return { type: "object", properties, additionalProperties: false };
}

async function list(request: NovaRequest) {
  const { query, version, call } = request;
  requireValid(querySchema(version), query, "query");
  const asked = { server: "", status: "", host: "", limit: 1000 };
  const { migrations } = await call(MigrationServiceService.listMigrations, asked);
  const wanted = migrations.filter(migration => fits(migration, request)).sort(newestFirst);
  if (version < 59) return ok({ migrations: wanted.map(migration => migrationView(request, migration)) });
  const { items, next } = pageOf(wanted, request, { idOf: ({ id }) => id });
  const links = nextLinks(request, "os-migrations", next, "migrations_links");
  return ok({ migrations: items.map(migration => migrationView(request, migration)), ...links });
}

const newestFirst = (one: Migration, other: Migration): number =>
  other.createdAtMs - one.createdAtMs || other.number - one.number;

function fits(migration: Migration, request: NovaRequest): boolean {
  const { query, version } = request;
  const is = (wanted: string | undefined, value: string) => wanted === undefined || wanted === value;
  const view = migrationView(request, migration) as { status: string };
  return (
    is(query.status, view.status) &&
    is(query.instance_uuid, migration.serverId) &&
    is(query.migration_type, migration.type) &&
    isAt(query, migration, isAdmin(request)) &&
    (version < 59 || isWithin(query, migration)) &&
    (version < 80 ||
      (is(query.user_id, migration.requestedBy.replace(/^user\//, "")) &&
        is(query.project_id, migration.project)))
  );
}

/** Who may not see hosts may not find out by asking for them either. */
function isAt(
  { host, source_compute }: NovaRequest["query"],
  migration: Migration,
  seesHosts: boolean,
): boolean {
  if (!seesHosts) return host === undefined && source_compute === undefined;
  if (host !== undefined && host !== migration.sourceHost && host !== migration.targetHost) return false;
  return source_compute === undefined || source_compute === migration.sourceHost;
}

function isWithin(query: NovaRequest["query"], { updatedAtMs }: Migration): boolean {
  const [since, before] = [query["changes-since"], query["changes-before"]];
  if (since !== undefined && updatedAtMs < readTime("changes-since", since)) return false;
  return before === undefined || updatedAtMs <= readTime("changes-before", before);
}

async function ofServer(request: NovaRequest) {
  await serverById(request);
  return ok({ migrations: [] });
}

async function findOf(request: NovaRequest): Promise<Migration> {
  const { id } = await serverById(request);
  const asked = { server: id, status: "", host: "", limit: 1000 };
  const { migrations } = await request.call(MigrationServiceService.listMigrations, asked);
  const wanted = request.params.migration ?? "";
  const found = migrations.find(({ number, id: uuid }) => String(number) === wanted || uuid === wanted);
  if (found !== undefined) return found;
  throw new NovaError(404, `Migration ${wanted} not found for instance ${id}`);
}

async function notLive(request: NovaRequest): Promise<never> {
  const { number, serverId } = await findOf(request);
  throw new NovaError(404, `Migration ${number} for server ${serverId} is not live-migration.`);
}

async function abort(request: NovaRequest): Promise<never> {
  const { number, serverId, status } = await findOf(request);
  throw new NovaError(
    409,
    `Migration ${number} state of instance ${serverId} is ${status}. Cannot abort live migration while the migration is in this state.`,
  );
}

async function forceComplete(request: NovaRequest): Promise<never> {
  const { number, serverId, status } = await findOf(request);
  throw new NovaError(
    409,
    `Migration ${number} state of instance ${serverId} is ${status}. Cannot force complete while the migration is in this state.`,
  );
}
