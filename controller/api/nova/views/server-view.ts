/**
 * A server as Nova shows it: each field from the microversion in which Nova added it, and those that say where it runs
 * only to administrators.
 */

import { createHash } from "node:crypto";
import { Flavor, type Server } from "../../../../proto/gen/ferry/v1/model.js";
import { isAdmin, linksOf, type NovaRequest } from "../route.js";
import { timeOf } from "../times.js";
import { embeddedFlavor, flavorRef } from "./flavor-view.js";

type Context = Pick<NovaRequest, "origin" | "version" | "identity">;

/** What a server's row does not say. */
export interface ServerSurroundings {
  /** UP | DOWN | MAINTENANCE | UNKNOWN, and empty without a host. */
  readonly hostStatus: string;
  /** Ids of the groups that it is in; shown with a single server only. */
  readonly groups?: readonly string[];
  /** Id of the image it was made from, if clients know that one; others are none of theirs. */
  readonly imageId: string | undefined;
}

export const serverSummary = (request: Context, { id, name }: Server) => ({
  id,
  name,
  links: linksOf(request, `servers/${id}`),
});

export function serverView(request: Context, server: Server, surroundings: ServerSurroundings): object {
  const { version } = request;
  const { status, flavor = Flavor.create() } = server;
  return {
    ...serverSummary(request, server),
    status,
    tenant_id: projectOf(server),
    user_id: server.owner.replace(/^user\//, ""),
    metadata: {},
    hostId: hostIdOf(server),
    image: imageOf(request, surroundings.imageId),
    flavor: version >= 47 ? embeddedFlavor(flavor) : flavorRef(request, flavor),
    created: timeOf(server.createdAtMs),
    updated: timeOf(server.updatedAtMs),
    addresses: {},
    accessIPv4: "",
    accessIPv6: "",
    "OS-DCF:diskConfig": "MANUAL",
    ...(WITH_PROGRESS.has(status) ? { progress: 0 } : {}),
    "OS-EXT-AZ:availability_zone": server.availabilityZone,
    config_drive: server.disks.some(({ role }) => role === "config-drive") ? "True" : "",
    key_name: null,
    "OS-SRV-USG:launched_at": server.vmState === "building" ? null : preciseSeconds(server.createdAtMs),
    "OS-SRV-USG:terminated_at": null,
    "OS-EXT-STS:task_state": server.taskState === "" ? null : server.taskState,
    "OS-EXT-STS:vm_state": server.vmState,
    "OS-EXT-STS:power_state": POWER_STATES[server.powerState] ?? 0,
    "os-extended-volumes:volumes_attached": [],
    ...faultOf(server, isAdmin(request)),
    ...whereItRuns(request, server, surroundings),
    ...newerFields(version, server, surroundings),
  };
}

/** A server that belongs to nobody's project is its owner's alone: Nova has no such thing, and needs a name. */
export const projectOf = ({ project, owner }: Pick<Server, "project" | "owner">): string =>
  project || owner.replace(/^user\//, "");

const imageOf = ({ origin }: Context, id: string | undefined) =>
  id === undefined ? "" : { id, links: [{ rel: "bookmark", href: `${origin}/images/${id}` }] };

const WITH_PROGRESS = new Set(["ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"]);

export const POWER_STATES: Readonly<Record<string, number>> = {
  NOSTATE: 0,
  RUNNING: 1,
  PAUSED: 3,
  SHUTDOWN: 4,
  CRASHED: 6,
};

const preciseSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}.000000`;

/** Says to its owner that a server has moved without saying where it is. */
function hostIdOf(server: Server): string {
  if (server.host === "") return "";
  return createHash("sha224")
    .update(projectOf(server) + server.host)
    .digest("hex");
}

function faultOf({ status, fault, updatedAtMs }: Server, admin: boolean): object {
  if (status !== "ERROR" || fault === undefined) return {};
  const details = [
    fault.have && `have: ${fault.have}`,
    fault.need && `need: ${fault.need}`,
    fault.fix && `fix: ${fault.fix}`,
  ];
  const said = { code: 500, created: timeOf(updatedAtMs), message: fault.message };
  return { fault: admin ? { ...said, details: details.filter(Boolean).join("\n") } : said };
}

function whereItRuns(request: Context, server: Server, { hostStatus }: ServerSurroundings): object {
  if (!isAdmin(request))
    return request.version >= 90 ? { "OS-EXT-SRV-ATTR:hostname": hostnameOf(server) } : {};
  const host = server.host === "" ? null : server.host;
  return {
    "OS-EXT-SRV-ATTR:host": host,
    "OS-EXT-SRV-ATTR:hypervisor_hostname": host,
    "OS-EXT-SRV-ATTR:instance_name": server.name,
    ...(request.version >= 3
      ? {
          "OS-EXT-SRV-ATTR:hostname": hostnameOf(server),
          "OS-EXT-SRV-ATTR:reservation_id": `r-${server.id.slice(0, 8)}`,
          "OS-EXT-SRV-ATTR:launch_index": 0,
          "OS-EXT-SRV-ATTR:kernel_id": "",
          "OS-EXT-SRV-ATTR:ramdisk_id": "",
          "OS-EXT-SRV-ATTR:root_device_name": rootDeviceOf(server),
          "OS-EXT-SRV-ATTR:user_data": null,
        }
      : {}),
    ...(request.version >= 16 ? { host_status: hostStatus } : {}),
  };
}

const hostnameOf = ({ name }: Server): string =>
  name
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, "-")
    .slice(0, 63);

function rootDeviceOf({ disks }: Server): string | null {
  const root = disks.find(({ role }) => role === "root");
  return root === undefined ? null : `/dev/${root.targetDev}`;
}

function newerFields(version: number, server: Server, { groups }: ServerSurroundings): object {
  const locked = server.lockedBy !== "";
  return {
    ...(version >= 9 ? { locked } : {}),
    ...(version >= 19 ? { description: null } : {}),
    ...(version >= 26 ? { tags: [] } : {}),
    ...(version >= 63 ? { trusted_image_certificates: null } : {}),
    ...(version >= 71 && groups !== undefined ? { server_groups: groups } : {}),
    ...(version >= 73
      ? { locked_reason: locked && server.lockedReason !== "" ? server.lockedReason : null }
      : {}),
  };
}
