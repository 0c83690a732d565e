/** /os-services: the agents, as Nova's compute services; until 2.53 they are changed by name, since then by id. */

import { HostServiceService } from "../../../../proto/gen/ferry/v1/controller.js";
import type { Host } from "../../../../proto/gen/ferry/v1/model.js";
import { NovaError } from "../nova-error.js";
import { booleanSchema, isTrue } from "../python-boolean.js";
import { bodyOf, type NovaRequest, noSuchResource, ok, type Route } from "../route.js";
import { requireValid, type Schema } from "../schema.js";
import { serviceIdOf, serviceView } from "../views/hypervisor-view.js";

export const serviceRoutes: readonly Route[] = [
  { method: "GET", path: "/os-services", answer: list },
  { method: "PUT", path: "/os-services/:id", answer: change },
];

const BINARY = "nova-compute";

async function list(request: NovaRequest) {
  const { binary = BINARY, host } = request.query;
  const { hosts } = await request.call(HostServiceService.listHosts, {});
  const wanted = hosts.filter(({ name }) => binary === BINARY && (host === undefined || name === host));
  return ok({ services: wanted.map(one => serviceView(request, one)) });
}

const REASON: Schema = { type: "string", minLength: 1, maxLength: 255 };

const BY_ID: Schema = {
  type: "object",
  properties: {
    status: { type: "string", enum: ["enabled", "disabled"] },
    disabled_reason: REASON,
    forced_down: booleanSchema,
  },
  additionalProperties: false,
};

/** The words after /os-services/ until 2.53. */
const BY_NAME: Readonly<Record<string, Schema>> = Object.fromEntries(
  ["enable", "disable", "disable-log-reason", "force-down"].map(verb => [
    verb,
    {
      type: "object",
      properties: {
        host: { type: "string", minLength: 1, maxLength: 255 },
        binary: { type: "string", minLength: 1, maxLength: 255 },
        ...(verb === "disable-log-reason" ? { disabled_reason: REASON } : {}),
        ...(verb === "force-down" ? { forced_down: booleanSchema } : {}),
      },
      required: [
        "host",
        "binary",
        ...(verb === "disable-log-reason" ? ["disabled_reason"] : []),
        ...(verb === "force-down" ? ["forced_down"] : []),
      ],
      additionalProperties: false,
    } satisfies Schema,
  ]),
);

async function change(request: NovaRequest) {
  return request.version >= 53 ? changeById(request) : changeByName(request);
}

async function changeById(request: NovaRequest) {
  const body = bodyOf(request);
  requireValid(BY_ID, body);
  const id = request.params.id ?? "";
  const { hosts } = await request.call(HostServiceService.listHosts, {});
  const host = hosts.find(one => serviceIdOf(request, one) === id);
  if (host === undefined) throw new NovaError(404, `Service ${id} could not be found.`);
  const { status, disabled_reason: reason = "", forced_down } = body;
  if (status === undefined && forced_down === undefined)
    throw new NovaError(
      400,
      "No updates were requested. Fields 'status' or 'forced_down' should be specified.",
    );
  if (reason !== "" && status !== "disabled")
    throw new NovaError(400, "Specifying 'disabled_reason' when status is 'enabled' is invalid.");
  let changed = host;
  if (status !== undefined)
    changed = await setStatus(request, host.name, status === "enabled", String(reason));
  if (forced_down !== undefined) changed = await forceDown(request, host.name, isTrue(forced_down));
  return ok({ service: serviceView(request, changed) });
}

async function changeByName(request: NovaRequest) {
  const verb = request.params.id ?? "";
  const schema = Object.hasOwn(BY_NAME, verb) ? BY_NAME[verb] : undefined;
  if (schema === undefined || (verb === "force-down" && request.version < 11)) throw noSuchResource();
  const body = bodyOf(request);
  requireValid(schema, body);
  const { host, binary, disabled_reason: reason = "" } = body as Record<string, string>;
  if (binary !== BINARY) throw notThere(String(host), String(binary));
  const { hosts } = await request.call(HostServiceService.listHosts, { statesOnly: true });
  if (!hosts.some(({ name }) => name === host)) throw notThere(String(host), BINARY);
  if (verb === "force-down") {
    const { forcedDown } = await forceDown(request, String(host), isTrue(body.forced_down));
    return ok({ service: { host, binary: BINARY, forced_down: forcedDown } });
  }
  const changed = await setStatus(request, String(host), verb === "enable", String(reason));
  const said = { host, binary: BINARY, status: changed.status };
  return ok({ service: verb === "disable-log-reason" ? { ...said, disabled_reason: reason } : said });
}

const notThere = (host: string, binary: string): NovaError =>
  new NovaError(404, `Could not find binary ${binary} on host ${host}.`);

async function setStatus(
  { call }: NovaRequest,
  name: string,
  enabled: boolean,
  reason: string,
): Promise<Host> {
  const { host } = await call(HostServiceService.setHostStatus, { name, enabled, reason });
  if (host === undefined) throw new NovaError(404, `Compute host ${name} could not be found.`);
  return host;
}

async function forceDown({ call }: NovaRequest, name: string, forcedDown: boolean): Promise<Host> {
  const { host } = await call(HostServiceService.forceHostDown, { name, forcedDown });
  if (host === undefined) throw new NovaError(404, `Compute host ${name} could not be found.`);
  return host;
}
