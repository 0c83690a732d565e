/**
 * POST /servers: a server from a flavor and an image of the controller's list, on a host or zone if one is named. Ports
 * and volumes are others' business: a request that needs them is refused, never half fulfilled.
 */

import { Fault } from "../../../../proto/fault.js";
import { FlavorServiceService, ServerServiceService } from "../../../../proto/gen/ferry/v1/controller.js";
import { SchedulerHints } from "../../../../proto/gen/ferry/v1/model.js";
import { DEFAULT_ZONE } from "../../../store/aggregates.js";
import { NovaError } from "../nova-error.js";
import { booleanSchema, isTrue } from "../python-boolean.js";
import { type Answer, bodyOf, isAdmin, linksOf, type NovaRequest } from "../route.js";
import { requireValid, type Schema } from "../schema.js";
import type { NovaImage, NovaSettings } from "../settings.js";

const NAME: Schema = { type: "string", minLength: 1, maxLength: 255, pattern: "^(?! ).*(?<! )$" };
const COUNT: Schema = { type: ["integer", "string"], pattern: "^[0-9]*$", minLength: 1, minimum: 1 };
const ID: Schema = { type: "string", minLength: 1, maxLength: 255 };

function schemaFor(version: number): Schema {
  const server: Schema = {
    type: "object",
    properties: {
      name: NAME,
      flavorRef: { type: ["string", "integer"], minLength: 1 },
      imageRef: { type: "string", maxLength: 255 },
      networks: { type: version >= 37 ? ["array", "string"] : "array" },
      availability_zone: NAME,
      config_drive: booleanSchema,
      user_data: { type: "string", maxLength: 65_535 },
      metadata: { type: "object" },
      key_name: { type: ["string", "null"] },
      min_count: COUNT,
      max_count: COUNT,
      security_groups: { type: "array" },
      adminPass: { type: "string" },
      personality: { type: "array" },
      accessIPv4: { type: "string" },
      accessIPv6: { type: "string" },
      return_reservation_id: booleanSchema,
      block_device_mapping: { type: "array" },
      block_device_mapping_v2: { type: "array" },
      "OS-DCF:diskConfig": { type: "string", enum: ["AUTO", "MANUAL"] },
      ...(version >= 19 ? { description: { type: ["string", "null"], maxLength: 255 } } : {}),
      ...(version >= 52 ? { tags: { type: "array" } } : {}),
      ...(version >= 63 ? { trusted_image_certificates: { type: ["array", "null"] } } : {}),
      ...(version >= 74 ? { host: ID, hypervisor_hostname: ID } : {}),
      ...(version >= 90 ? { hostname: { type: "string", minLength: 1, maxLength: 255 } } : {}),
    },
    required: ["name", "flavorRef", ...(version >= 37 ? ["networks"] : [])],
    additionalProperties: false,
  };
  const hints: Schema = { type: "object" };
  const properties = { server, "os:scheduler_hints": hints, "OS-SCH-HNT:scheduler_hints": hints };
  return { type: "object", properties, required: ["server"], additionalProperties: false };
}

interface Wanted {
  readonly name: string;
  readonly flavorRef: string | number;
  readonly imageRef?: string;
  readonly networks?: string | readonly unknown[];
  readonly availability_zone?: string;
  readonly host?: string;
  readonly hypervisor_hostname?: string;
  readonly config_drive?: unknown;
  readonly user_data?: string;
  readonly key_name?: string | null;
  readonly min_count?: number | string;
  readonly max_count?: number | string;
  readonly block_device_mapping?: readonly unknown[];
  readonly block_device_mapping_v2?: readonly unknown[];
}

export async function createServer(request: NovaRequest, settings: NovaSettings): Promise<Answer> {
  const body = bodyOf(request);
  requireValid(schemaFor(request.version), body);
  const wanted = body.server as unknown as Wanted;
  refuseUnserved(wanted);
  const image = imageOf(wanted, settings);
  const flavor = await flavorIdOf(request, String(wanted.flavorRef));
  const message = {
    name: wanted.name.trim(),
    flavor,
    imagePath: image.path,
    imageFormat: image.format,
    host: hostOf(request, wanted),
    interfaces: interfacesOf(wanted, settings),
    firmware: "bios",
    vtpm: false,
    rootMode: "overlay",
    configDrive: configDriveOf(wanted),
    start: true,
    maxDowntimeSeconds: 0,
    noWait: true,
    project: "",
    availabilityZone: zoneOf(wanted),
    schedulerHints: hintsOf(body),
    imageProperties: {},
  };
  const { server } = await request.call(ServerServiceService.createServer, message).catch(badWhereNovaSaysSo);
  const id = server?.id ?? "";
  const created = {
    id,
    links: linksOf(request, `servers/${id}`),
    "OS-DCF:diskConfig": "MANUAL",
    security_groups: [],
    adminPass: "",
  };
  return {
    status: 202,
    body: { server: created },
    headers: { Location: `${request.origin}/v2.1/servers/${id}` },
  };
}

function refuseUnserved(wanted: Wanted): void {
  const refuse = (words: string): never => {
    throw new NovaError(400, words);
  };
  if (Number(wanted.max_count ?? wanted.min_count ?? 1) > 1) refuse("Ferry makes one server per request.");
  if ((wanted.block_device_mapping?.length ?? 0) + (wanted.block_device_mapping_v2?.length ?? 0) > 0)
    refuse("Block Device Mapping is Invalid: Ferry makes no volumes.");
  if (wanted.key_name) refuse("Invalid key_name provided.");
}

function imageOf({ imageRef = "" }: Wanted, { images }: NovaSettings): NovaImage {
  const image = images.find(({ id }) => id === imageRef);
  if (image !== undefined) return image;
  throw new NovaError(400, imageRef === "" ? "Invalid imageRef provided." : "Can not find requested image");
}

async function flavorIdOf({ call }: NovaRequest, id: string): Promise<string> {
  const found = await call(FlavorServiceService.showFlavor, { flavor: id }).catch(() => undefined);
  if (found?.flavor?.id !== id) throw new NovaError(400, `Flavor ${id} could not be found.`);
  return id;
}

const zoneOf = ({ availability_zone = "" }: Wanted): string => {
  const [zone = ""] = availability_zone.split(":");
  // The zone of hosts that are in none holds a server to nothing.
  return zone === DEFAULT_ZONE ? "" : zone;
};

/** `zone:host` and, since 2.74, `host` name a target, which only administrators may. */
function hostOf(request: NovaRequest, wanted: Wanted): string {
  const [, zoneHost = ""] = (wanted.availability_zone ?? "").split(":");
  const host = wanted.host ?? wanted.hypervisor_hostname ?? zoneHost;
  if (host !== "" && !isAdmin(request)) {
    const rule =
      zoneHost === ""
        ? "compute:servers:create:requested_destination"
        : "os_compute_api:servers:create:forced_host";
    throw new NovaError(403, `Policy doesn't allow ${rule} to be performed.`);
  }
  return host;
}

function interfacesOf({ networks = "auto" }: Wanted, { network }: NovaSettings) {
  if (networks === "none" || (Array.isArray(networks) && networks.length === 0)) return [];
  if (networks !== "auto")
    throw new NovaError(400, "Ferry plugs servers into the network that its operator chose.");
  return network === undefined ? [] : [{ ...network, mac: "" }];
}

function configDriveOf({ config_drive, user_data, name }: Wanted): Record<string, Buffer> {
  if (!isTrue(config_drive) && user_data === undefined) return {};
  const meta = Buffer.from(JSON.stringify({ name, hostname: name }));
  const files: Record<string, Buffer> = { "openstack/latest/meta_data.json": meta };
  if (user_data !== undefined) files["openstack/latest/user_data"] = Buffer.from(user_data, "base64");
  return files;
}

function hintsOf(body: Record<string, unknown>): SchedulerHints {
  const said = (body["os:scheduler_hints"] ?? body["OS-SCH-HNT:scheduler_hints"] ?? {}) as Record<
    string,
    unknown
  >;
  const texts = (value: unknown): string[] => [value ?? []].flat().map(String);
  return SchedulerHints.create({
    group: said.group === undefined ? "" : String(said.group),
    sameHost: texts(said.same_host),
    differentHost: texts(said.different_host),
  });
}

function badWhereNovaSaysSo(error: unknown): never {
  if (error instanceof Fault && error.code === "not-found") throw new NovaError(400, error.message);
  throw error;
}
