/** /servers/{id}/os-instance-actions: what was asked of a server; since 2.21 also of one that is gone. */

import { ServerServiceService } from "../../../../proto/gen/ferry/v1/controller.js";
import type { ServerAction } from "../../../../proto/gen/ferry/v1/model.js";
import { NovaError } from "../nova-error.js";
import { nextLinks, pageOf } from "../page.js";
import { type NovaRequest, ok, type Route } from "../route.js";
import { requireValid, type Schema } from "../schema.js";
import { serverById } from "../server-by-id.js";
import { readTime } from "../times.js";
import { actionSummary, actionView } from "../views/action-view.js";

export const instanceActionRoutes: readonly Route[] = [
  { method: "GET", path: "/servers/:id/os-instance-actions", answer: list },
  { method: "GET", path: "/servers/:id/os-instance-actions/:request", answer: show },
];

const TEXT: Schema = { type: "string" };

function querySchema(version: number): Schema {
  if (version < 58) return { type: "object" };
  const properties = {
    limit: { type: "string", pattern: "^[0-9]*$" },
    marker: TEXT,
    "changes-since": TEXT,
    ...(version >= 66 ? { "changes-before": TEXT } : {}),
  } satisfies Record<string, Schema>;
  return { type: "object", properties, additionalProperties: false };
}

async function actionsOf(request: NovaRequest, requestId: string): Promise<ServerAction[]> {
  const server = request.params.id ?? "";
  if (request.version < 21) await serverById(request);
  const { actions } = await request.call(ServerServiceService.listServerActions, { server, requestId });
  return actions.filter(({ serverId }) => serverId === server);
}

async function list(request: NovaRequest) {
  requireValid(querySchema(request.version), request.query, "query");
  const actions = await actionsOf(request, "");
  if (request.version < 58)
    return ok({ instanceActions: actions.map(action => actionSummary(request, action)) });
  const wanted = actions.filter(action => isWithin(request.query, action));
  const { items, next } = pageOf(wanted, request, { idOf: ({ requestId }) => requestId });
  const path = `servers/${request.params.id}/os-instance-actions`;
  return ok({
    instanceActions: items.map(action => actionSummary(request, action)),
    ...nextLinks(request, path, next, "links"),
  });
}

function isWithin(query: NovaRequest["query"], { updatedAtMs }: ServerAction): boolean {
  const [since, before] = [query["changes-since"], query["changes-before"]];
  if (since !== undefined && updatedAtMs < readTime("changes-since", since)) return false;
  return before === undefined || updatedAtMs <= readTime("changes-before", before);
}

async function show(request: NovaRequest) {
  const wanted = request.params.request ?? "";
  const [action] = await actionsOf(request, wanted);
  if (action === undefined || wanted === "") {
    const words = `Action for request_id ${wanted} on instance ${request.params.id} not found`;
    throw new NovaError(404, words);
  }
  return ok({ instanceAction: actionView(request, action) });
}
