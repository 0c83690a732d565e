/** /os-migrations and a server's own; those of a server are live ones in Nova, of which there are none here. */

import {
  type ListMigrationsRequest,
  MigrationServiceService,
} from "../../../../proto/gen/ferry/v1/controller.js";
import type { Migration } from "../../../../proto/gen/ferry/v1/model.js";
import { NovaError } from "../nova-error.js";
import { askedPage, nextLinks } from "../page.js";
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
  const question = questionOf(request);
  if (question === undefined) return ok({ migrations: [] });
  const page = askedPage(version < 59 ? { query: {} } : request);
  const asked = { ...question, ...page.asked };
  const { items, next } = page.cut((await call(MigrationServiceService.listMigrations, asked)).migrations);
  const migrations = items.map(migration => migrationView(request, migration));
  return ok({
    migrations,
    ...(version < 59 ? {} : nextLinks(request, "os-migrations", next, "migrations_links")),
  });
}

/** Undefined: nothing matches. */
function questionOf(request: NovaRequest): Omit<ListMigrationsRequest, "limit"> | undefined {
  const { query, version } = request;
  const { host, source_compute: sourceHost } = query;
  // Who may not see hosts may not find out by asking for them either.
  if (!isAdmin(request) && (host !== undefined || sourceHost !== undefined)) return undefined;
  return {
    server: "",
    serverId: query.instance_uuid,
    status: "",
    novaStatus: query.status,
    host: host ?? "",
    sourceHost,
    type: query.migration_type,
    brief: true,
    ...(version >= 59 ? { changedSinceMs: timeFrom(query, "changes-since") } : {}),
    ...(version >= 66 ? { changedUntilMs: timeFrom(query, "changes-before") } : {}),
    ...(version >= 80 ? { project: query.project_id, requestedBy: userFrom(query) } : {}),
  };
}

const timeFrom = (query: NovaRequest["query"], name: "changes-since" | "changes-before") =>
  query[name] === undefined ? undefined : readTime(name, query[name]);

const userFrom = ({ user_id: user }: NovaRequest["query"]) =>
  user === undefined ? undefined : `user/${user}`;

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
