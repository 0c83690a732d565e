/** /flavors: sizes, and their extra specs. */

import { Fault } from "../../../../proto/fault.js";
import { FlavorServiceService } from "../../../../proto/gen/ferry/v1/controller.js";
import { Flavor } from "../../../../proto/gen/ferry/v1/model.js";
import { NovaError } from "../nova-error.js";
import { nextLinks, pageOf } from "../page.js";
import { booleanSchema, isTrue } from "../python-boolean.js";
import { bodyOf, type NovaRequest, ok, type Route } from "../route.js";
import { requireValid, type Schema } from "../schema.js";
import { flavorSummary, flavorView } from "../views/flavor-view.js";

export const flavorRoutes: readonly Route[] = [
  { method: "GET", path: "/flavors", answer: request => list(request, false) },
  { method: "GET", path: "/flavors/detail", answer: request => list(request, true) },
  { method: "POST", path: "/flavors", answer: create },
  {
    method: "GET",
    path: "/flavors/:id",
    answer: async request => ok({ flavor: flavorView(request, await flavorById(request)) }),
  },
  { method: "DELETE", path: "/flavors/:id", answer: remove },
  {
    method: "GET",
    path: "/flavors/:id/os-extra_specs",
    answer: async request => ok({ extra_specs: (await flavorById(request)).extraSpecs }),
  },
  { method: "POST", path: "/flavors/:id/os-extra_specs", answer: setExtraSpecs },
  { method: "GET", path: "/flavors/:id/os-extra_specs/:key", answer: extraSpec },
  { method: "PUT", path: "/flavors/:id/os-extra_specs/:key", answer: setExtraSpec },
  { method: "DELETE", path: "/flavors/:id/os-extra_specs/:key", answer: deleteExtraSpec },
];

async function flavorById({ call, params }: NovaRequest): Promise<Flavor> {
  const id = params.id ?? "";
  const found = await call(FlavorServiceService.showFlavor, { flavor: id }).catch(() => undefined);
  if (found?.flavor?.id === id) return found.flavor;
  throw new NovaError(404, `Flavor ${id} could not be found.`);
}

async function list(request: NovaRequest, detailed: boolean) {
  const { flavors } = await request.call(FlavorServiceService.listFlavors, {});
  const wanted = flavors
    .filter(({ ramMib }) => ramMib >= least(request, "minRam"))
    .filter(({ rootGib }) => rootGib >= least(request, "minDisk"))
    .filter(() => request.query.is_public?.toLowerCase() !== "false")
    .sort((one, other) => (one.id < other.id ? -1 : 1));
  const { items, next } = pageOf(wanted, request, { idOf: ({ id }) => id });
  const view = detailed ? flavorView : flavorSummary;
  const links = nextLinks(request, detailed ? "flavors/detail" : "flavors", next, "flavors_links");
  return ok({ flavors: items.map(flavor => view(request, flavor)), ...links });
}

function least({ query }: NovaRequest, name: "minRam" | "minDisk"): number {
  const text = query[name] ?? "0";
  if (!/^\d{1,9}$/.test(text)) throw new NovaError(400, `Invalid ${name} filter [${text}]`);
  return Number(text);
}

async function extraSpec(request: NovaRequest) {
  const { id, extraSpecs } = await flavorById(request);
  const key = request.params.key ?? "";
  const value = Object.hasOwn(extraSpecs, key) ? extraSpecs[key] : undefined;
  if (value === undefined) throw new NovaError(404, `Flavor ${id} has no extra specs with key ${key}.`);
  return ok({ [key]: value });
}

const SPECS: Schema = {
  type: "object",
  patternProperties: { "^[a-zA-Z0-9_:. -]{1,255}$": { type: ["string", "number"], maxLength: 255 } },
  additionalProperties: false,
};

async function setExtraSpecs(request: NovaRequest) {
  const body = bodyOf(request);
  const properties = { extra_specs: SPECS };
  requireValid({ type: "object", properties, required: ["extra_specs"], additionalProperties: false }, body);
  const specs = texts(body.extra_specs as object);
  await changeExtraSpecs(request, { set: specs });
  return ok({ extra_specs: specs });
}

/** The body names the key that the path names, and no other. */
async function setExtraSpec(request: NovaRequest) {
  const body = bodyOf(request);
  requireValid(SPECS, body);
  const key = request.params.key ?? "";
  if (!Object.hasOwn(body, key) || Object.keys(body).length !== 1)
    throw new NovaError(400, "Request body and URI mismatch");
  const specs = texts(body);
  await changeExtraSpecs(request, { set: specs });
  return ok(specs);
}

async function deleteExtraSpec(request: NovaRequest) {
  await changeExtraSpecs(request, { unset: [request.params.key ?? ""] });
  return { status: 200 };
}

async function changeExtraSpecs(
  request: NovaRequest,
  { set = {}, unset = [] }: { set?: Record<string, string>; unset?: string[] },
): Promise<void> {
  const { id } = await flavorById(request);
  await request.call(FlavorServiceService.setExtraSpecs, { flavor: id, set, unset });
}

const texts = (specs: object): Record<string, string> =>
  Object.fromEntries(Object.entries(specs).map(([key, value]) => [key, String(value)]));

const MOST = 0x7fff_ffff;
const count = (minimum: number): Schema => ({
  type: ["integer", "string"],
  pattern: "^[0-9]*$",
  minLength: 1,
  minimum,
  maximum: MOST,
});

const createSchema = (version: number): Schema => ({
  type: "object",
  properties: {
    flavor: {
      type: "object",
      properties: {
        name: { type: "string", minLength: 1, maxLength: 255, pattern: "^(?! )[\\w .@-]*(?<! )$" },
        id: {
          type: ["string", "number", "null"],
          minLength: 0,
          maxLength: 255,
          pattern: "^(?! )[a-zA-Z0-9. _-]*(?<! )$",
        },
        ram: count(1),
        vcpus: count(1),
        disk: count(0),
        "OS-FLV-EXT-DATA:ephemeral": count(0),
        swap: count(0),
        rxtx_factor: { type: ["number", "string"] },
        "os-flavor-access:is_public": booleanSchema,
        ...(version >= 55 ? { description: { type: ["string", "null"], maxLength: 65_535 } } : {}),
      },
      required: ["name", "ram", "vcpus", "disk"],
      additionalProperties: false,
    },
  },
  required: ["flavor"],
  additionalProperties: false,
});

async function create(request: NovaRequest) {
  const body = bodyOf(request);
  requireValid(createSchema(request.version), body);
  const wanted = body.flavor as Record<string, unknown>;
  const isPublic = wanted["os-flavor-access:is_public"];
  if (isPublic !== undefined && !isTrue(isPublic))
    throw new NovaError(400, "Ferry's flavors are for everybody.");
  const id = wanted.id === null || wanted.id === undefined || wanted.id === "auto" ? "" : String(wanted.id);
  const flavor = Flavor.create({
    id,
    name: String(wanted.name),
    vcpus: Number(wanted.vcpus),
    ramMib: Number(wanted.ram),
    rootGib: Number(wanted.disk),
    ephemeralGib: Number(wanted["OS-FLV-EXT-DATA:ephemeral"] ?? 0),
    swapMib: Number(wanted.swap ?? 0),
  });
  const answer = await request.call(FlavorServiceService.createFlavor, { flavor }).catch((error: unknown) => {
    if (error instanceof Fault && error.code === "already-exists") throw new NovaError(409, error.message);
    throw error;
  });
  return ok({ flavor: flavorView(request, answer.flavor ?? flavor) });
}

async function remove(request: NovaRequest) {
  const { id } = await flavorById(request);
  await request.call(FlavorServiceService.deleteFlavor, { flavor: id });
  return { status: 202 };
}
