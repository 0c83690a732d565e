/**
 * How a server comes into Ferry's care: made from a flavor and an image, or taken over as a domain that exists. Its row, its
 * booking and what its agent will be asked are written together; carrying that out is the matter of `ServerTasks`.
 */

import type { InspectDomainResponse } from "../../proto/gen/ferry/v1/agent.js";
import type { AdoptServerResponse, CreateServerRequest } from "../../proto/gen/ferry/v1/controller.js";
import type { Flavor, Server } from "../../proto/gen/ferry/v1/model.js";
import { claimForServer } from "../placement/placement.js";
import { resourcesOf } from "../placement/resources.js";
import { refuseGroupBreach } from "../scheduler/group-claim.js";
import { findFlavor } from "../store/flavors.js";
import { refuseFrozen } from "../store/freeze.js";
import { insertServer } from "../store/servers.js";
import { recordAction } from "./actions.js";
import type { MigrationDependencies } from "./dependencies.js";
import { flavorOfDomain } from "./flavor-of-domain.js";
import type { Verb } from "./migration-world.js";
import type { RequestedBy, Requester } from "./requester.js";
import { placingOf, type ServerPlacing, type ServerWishes } from "./server-placing.js";
import type { ServerTasks } from "./server-tasks.js";

export interface AdoptRequest extends ServerWishes {
  readonly host: string;
  /** libvirt name or uuid. */
  readonly domain: string;
  readonly swapDisks: readonly string[];
  readonly ephemeralDisks: readonly string[];
  readonly dryRun: boolean;
  /** refuse | carry */
  readonly readOnlyDrives: string;
  readonly maxDowntimeSeconds: number;
  /** Empty: that of who asks. */
  readonly project?: string;
  readonly requestedBy: RequestedBy;
}

interface NewServer extends ServerPlacing {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly flavor: Flavor;
  readonly owner: string;
  readonly project: string;
  readonly image: string;
  readonly maxDowntimeSeconds: number;
  readonly powerState: string;
}

type Found = AdoptServerResponse & { readonly id?: string };

export class Admission {
  readonly #deps: MigrationDependencies;
  readonly #tasks: Pick<ServerTasks, "request">;

  constructor(deps: MigrationDependencies, tasks: Pick<ServerTasks, "request">) {
    this.#deps = deps;
    this.#tasks = tasks;
  }

  /** The id of a server that is to be made from a flavor and an image, on the host that was asked for or the scheduler's best. */
  async create(request: CreateServerRequest, requester: Requester): Promise<string> {
    const { queries } = this.#deps.store;
    const flavor = await findFlavor(queries, request.flavor);
    const placing = await placingOf(queries, request);
    const { name, imagePath: image, maxDowntimeSeconds } = request;
    const id = this.#deps.newId();
    const owner = requester.by;
    const project = request.project || requester.project;
    const somewhere = { sourceHost: "", requestedHost: request.host, force: false, ignoreHosts: [] };
    const wanted = { ...placing, ...somewhere, serverId: id, flavor, tenant: project || owner };
    await this.#deps.fleet.firstWords();
    const [host] = await this.#deps.scheduler.select(wanted, 1);
    const created = {
      ...placing,
      id,
      name,
      host: host ?? "",
      flavor,
      owner,
      project,
      image,
      maxDowntimeSeconds,
      powerState: "SHUTDOWN",
    };
    const { imagePath, imageFormat, interfaces, firmware, vtpm, rootMode, configDrive } = request;
    const value = {
      name,
      flavor,
      imagePath,
      imageFormat,
      interfaces,
      firmware,
      vtpm,
      rootMode,
      configDrive,
    };
    await this.#admit(created, { $case: "createDomain", value }, { action: "create", requester });
    return id;
  }

  /** What was found, and the id of the server that it is to become; without an id it is not taken. */
  async adopt(request: AdoptRequest, requester: Requester): Promise<Found> {
    const { host, domain, readOnlyDrives, maxDowntimeSeconds } = request;
    const placing = await placingOf(this.#deps.store.queries, request);
    const disks = { swapDisks: [...request.swapDisks], ephemeralDisks: [...request.ephemeralDisks] };
    await this.#deps.fleet.show(host);
    const found = await this.#deps.agent.inspectDomain(host, { domain, readOnlyDrives, ...disks });
    const flavor = flavorOfDomain(found);
    const { suggestions, refusals } = found;
    const said = { server: serverSeen(found, host, flavor), suggestions, refusals };
    if (request.dryRun || refusals.length > 0) return said;
    const taken = {
      ...placing,
      powerState: found.powerState,
      id: found.uuid,
      name: found.name,
      host,
      flavor,
      owner: requester.by,
      project: request.project || requester.project,
      image: "",
      maxDowntimeSeconds,
    };
    // Hosts may have known a server of this uuid before, and refuse every epoch of that time.
    const { epoch } = await this.#deps.agent.attest(host, found.uuid);
    const verb: Verb = { $case: "takeDomain", value: { ...disks, readOnlyDrives } };
    const seen = Math.max(epoch, this.#deps.fleet.highestEpoch(found.uuid));
    await this.#admit(taken, verb, { action: "adopt", requester, epoch: seen + 1 });
    return { ...said, id: found.uuid };
  }

  /** The row, its booking and what its agent will be asked are one transaction: nothing is forgotten by a crash. */
  async #admit(
    server: NewServer,
    verb: Verb,
    { action, requester, epoch = 1 }: { action: string; requester: Requester; epoch?: number },
  ): Promise<void> {
    const { store, clock, owner } = this.#deps;
    await refuseFrozen(store.queries);
    const nowMs = clock.nowMs();
    const pending = this.#tasks.request(server.id, epoch, verb);
    const unknown = { disks: [], interfaces: [], migrationId: "", fault: undefined };
    const free = { lockedBy: "", lockedReason: "", deleteAsked: false };
    const building = {
      vmState: "building",
      taskState: "spawning",
      epoch,
      term: 0,
      pending,
      taskOwner: owner,
    };
    const times = { createdAtMs: nowMs, updatedAtMs: nowMs };
    await store.transaction(async queries => {
      await insertServer(queries, { ...server, ...unknown, ...free, ...building, ...times });
      if (action === "create") await refuseGroupBreach(queries, server, server.host);
      await claimForServer(queries, server.id, server.host, resourcesOf(server.flavor));
      await recordAction(queries, { serverId: server.id, action, host: server.host }, requester, nowMs);
    });
  }
}

/** What adopt would take, for a person to look at. */
function serverSeen(found: InspectDomainResponse, host: string, flavor: Flavor): Server {
  const isRunning = found.powerState === "RUNNING";
  return {
    id: found.uuid,
    name: found.name,
    host,
    flavor,
    vmState: isRunning ? "active" : "stopped",
    taskState: "",
    powerState: found.powerState,
    status: isRunning ? "ACTIVE" : "SHUTOFF",
    epoch: 0,
    owner: "",
    disks: found.disks,
    createdAtMs: 0,
    updatedAtMs: 0,
    migrationId: "",
    maxDowntimeSeconds: 0,
    fault: undefined,
    image: "",
    interfaces: found.interfaces,
    project: "",
    lockedBy: "",
    lockedReason: "",
    availabilityZone: "",
    pinnedAvailabilityZone: "",
    schedulerHints: undefined,
    imageProperties: {},
  };
}
