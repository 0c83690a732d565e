/** /os-server-groups: servers that belong together, or apart; one policy and its rules since 2.64, a list before. */

import { type ServerGroup, ServerGroupServiceService } from "../../../../proto/gen/ferry/v1/placement.js";
import { NovaError } from "../nova-error.js";
import { bodyOf, NO_CONTENT, type NovaRequest, ok, type Route } from "../route.js";
import { requireValid, type Schema } from "../schema.js";

export const serverGroupRoutes: readonly Route[] = [
  { method: "GET", path: "/os-server-groups", answer: list },
  { method: "POST", path: "/os-server-groups", answer: create },
  { method: "GET", path: "/os-server-groups/:id", answer: show },
  { method: "DELETE", path: "/os-server-groups/:id", answer: remove },
];

function view(
  { version }: NovaRequest,
  { id, name, members, policy, maxServerPerHost, owner }: ServerGroup,
): object {
  const user = owner.replace(/^user\//, "");
  const rules = maxServerPerHost > 1 ? { max_server_per_host: maxServerPerHost } : {};
  return {
    id,
    name,
    members,
    ...(version < 64 ? { policies: [policy], metadata: {} } : { policy, rules }),
    ...(version >= 13 ? { project_id: user, user_id: user } : {}),
  };
}

async function list(request: NovaRequest) {
  const { groups } = await request.call(ServerGroupServiceService.listServerGroups, {});
  return ok({ server_groups: groups.map(group => view(request, group)) });
}

async function groupOf({ call, params }: NovaRequest): Promise<ServerGroup> {
  const id = params.id ?? "";
  const { groups } = await call(ServerGroupServiceService.listServerGroups, {});
  const found = groups.find(group => group.id === id);
  if (found === undefined) throw new NovaError(404, `Instance group ${id} could not be found.`);
  return found;
}

async function show(request: NovaRequest) {
  return ok({ server_group: view(request, await groupOf(request)) });
}

async function remove(request: NovaRequest) {
  const { id } = await groupOf(request);
  await request.call(ServerGroupServiceService.deleteServerGroup, { group: id });
  return NO_CONTENT;
}

const NAME: Schema = { type: "string", minLength: 1, maxLength: 255, pattern: "^(?! ).*(?<! )$" };
const STRICT = ["anti-affinity", "affinity"];
const ALL = [...STRICT, "soft-anti-affinity", "soft-affinity"];

function schemaFor(version: number): Schema {
  const policies = version >= 15 ? ALL : STRICT;
  const named: Readonly<Record<string, Schema>> =
    version < 64
      ? { policies: { type: "array", items: { type: "string", enum: policies }, minItems: 1, maxItems: 1 } }
      : {
          policy: { type: "string", enum: policies },
          rules: {
            type: "object",
            properties: {
              max_server_per_host: {
                type: ["integer", "string"],
                pattern: "^[0-9]*$",
                minLength: 1,
                minimum: 1,
              },
            },
            additionalProperties: false,
          },
        };
  return {
    type: "object",
    properties: {
      server_group: {
        type: "object",
        properties: { name: NAME, ...named },
        required: ["name", version < 64 ? "policies" : "policy"],
        additionalProperties: false,
      },
    },
    required: ["server_group"],
    additionalProperties: false,
  };
}

interface Wanted {
  readonly name: string;
  readonly policies?: readonly string[];
  readonly policy?: string;
  readonly rules?: { readonly max_server_per_host?: string | number };
}

async function create(request: NovaRequest) {
  const body = bodyOf(request);
  requireValid(schemaFor(request.version), body);
  const { name, policies = [], policy = policies[0] ?? "", rules } = body.server_group as unknown as Wanted;
  const asked = { name, policy, maxServerPerHost: Number(rules?.max_server_per_host ?? 0) };
  if (asked.maxServerPerHost > 0 && policy !== "anti-affinity")
    throw new NovaError(400, "Only anti-affinity policy supports rules.");
  const { group } = await request.call(ServerGroupServiceService.createServerGroup, asked);
  return ok({ server_group: group && view(request, group) });
}
