/**
 * What a person or a program can ask of servers, apart from moving them. One task per server at a time: a server that
 * is being worked on, or is in a migration, answers in Nova's words that it is not free.
 */

import type { InspectDomainResponse } from "../../proto/gen/ferry/v1/agent.js";
import type { AdoptServerResponse, CreateServerRequest } from "../../proto/gen/ferry/v1/controller.js";
import type { Flavor, Server, ServerAction } from "../../proto/gen/ferry/v1/model.js";
import { claimForServer } from "../placement/placement.js";
import { resourcesOf } from "../placement/resources.js";
import { refuseGroupBreach } from "../scheduler/group-claim.js";
import { DEFAULT_ZONE, zonesByHost } from "../store/aggregates.js";
import { findFlavor } from "../store/flavors.js";
import { refuseFrozen } from "../store/freeze.js";
import {
  findServer,
  insertServer,
  listServers,
  type ServerRecord,
  serverMessage,
  showServer,
  statusOf,
  takeServer,
  updateServer,
} from "../store/servers.js";
import { actionsOf, recordAction } from "./actions.js";
import { conflictOf } from "./conflict.js";
import { Deletion } from "./deletion.js";
import type { MigrationDependencies } from "./dependencies.js";
import { flavorOfDomain } from "./flavor-of-domain.js";
import type { Verb } from "./migration-world.js";
import type { Migrations } from "./operations.js";
import { type RequestedBy, type Requester, refuseLocked, requesterOf } from "./requester.js";
import { placingOf, type ServerPlacing, type ServerWishes } from "./server-placing.js";
import { ServerTasks } from "./server-tasks.js";
import { lockServer, resetServerState, unlockServer } from "./server-words.js";

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

export interface ServerSelection {
  readonly host?: string | undefined;
  /** Derived status, such as ACTIVE. */
  readonly status?: string | undefined;
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

export class Servers {
  readonly #deps: MigrationDependencies;
  readonly #tasks: ServerTasks;
  readonly #deletion: Deletion;

  constructor(deps: MigrationDependencies, migrations: Migrations) {
    this.#deps = deps;
    this.#tasks = new ServerTasks(deps);
    this.#deletion = new Deletion(deps, migrations, this.#tasks);
  }

  /** Carries on what a controller that stopped left unfinished; answers how much. */
  async adoptOrphans(): Promise<number> {
    for (let count = 0; ; count += 1) {
      const server = await this.#tasks.adopt();
      if (server === undefined) return count;
      const { id, deleteAsked } = server;
      // Whoever asked is gone; a refusal is in the server's row.
      (deleteAsked ? this.#deletion.bringAbout(id) : this.#tasks.carryOut(id)).catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    await this.#deletion.close();
    await this.#tasks.close();
  }

  /** Makes a server from a flavor and an image, on the host that was asked for or the scheduler's best. */
  async create(request: CreateServerRequest, requestedBy: RequestedBy): Promise<Server> {
    const requester = this.#requester(requestedBy);
    const { queries } = this.#deps.store;
    const flavor = await findFlavor(queries, request.flavor);
    const placing = await placingOf(queries, request);
    const { name, imagePath: image, maxDowntimeSeconds } = request;
    const id = this.#deps.newId();
    const owner = requester.by;
    const project = request.project || requester.project;
    const somewhere = { sourceHost: "", requestedHost: request.host, force: false, ignoreHosts: [] };
    const wanted = { ...placing, ...somewhere, serverId: id, flavor, tenant: project || owner };
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
    const made = this.#make(id, request.start, requester);
    if (request.noWait) made.catch(() => undefined);
    else await made;
    return this.show(id);
  }

  async #make(id: string, start: boolean, requester: Requester): Promise<void> {
    await this.#tasks.carryOut(id);
    // Part of the same action: it has its own request id only because every action needs one.
    if (start) await this.startServer(id, { ...requester, requestId: `req-${this.#deps.newId()}` });
  }

  /** Takes over a domain that exists, or only says what it would find. */
  async adopt(request: AdoptRequest): Promise<AdoptServerResponse> {
    const { host, domain, readOnlyDrives, maxDowntimeSeconds } = request;
    const requester = this.#requester(request.requestedBy);
    const placing = await placingOf(this.#deps.store.queries, request);
    const disks = { swapDisks: [...request.swapDisks], ephemeralDisks: [...request.ephemeralDisks] };
    await this.#deps.fleet.show(host);
    const found = await this.#deps.agent.inspectDomain(host, { domain, readOnlyDrives, ...disks });
    const flavor = flavorOfDomain(found);
    const said = { suggestions: found.suggestions, refusals: found.refusals };
    if (request.dryRun || found.refusals.length > 0)
      return { server: serverSeen(found, host, flavor), ...said };
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
    await this.#tasks.carryOut(found.uuid);
    return { server: await this.show(found.uuid), ...said };
  }

  async list({ host, status }: ServerSelection = {}): Promise<Server[]> {
    const { queries } = this.#deps.store;
    const [all, zones] = [await listServers(queries), await zonesByHost(queries)];
    return all
      .filter(server => host === undefined || server.host === host)
      .filter(server => status === undefined || statusOf(server.vmState, server.taskState) === status)
      .map(server => serverMessage(server, zones.get(server.host) ?? DEFAULT_ZONE));
  }

  async show(nameOrId: string): Promise<Server> {
    const { queries } = this.#deps.store;
    return showServer(queries, await findServer(queries, nameOrId));
  }

  async startServer(nameOrId: string, requestedBy: RequestedBy, { noWait = false } = {}): Promise<Server> {
    const verb: Verb = { $case: "startDomain", value: {} };
    const server = await this.#take(nameOrId, START, verb, requestedBy);
    await this.#follow(this.#tasks.carryOut(server.id), noWait);
    return this.show(server.id);
  }

  async stopServer(
    nameOrId: string,
    { timeoutMs = this.#deps.settings.shutdownTimeoutMs, noWait = false, requestedBy }: StopRequest,
  ): Promise<{ server: Server; note: string }> {
    const verb: Verb = { $case: "stopDomain", value: { timeoutMs, gracefulOnly: false } };
    const server = await this.#take(nameOrId, STOP, verb, requestedBy);
    const result = await this.#follow(this.#tasks.carryOut(server.id), noWait);
    const wasDestroyed = result?.stopped?.how.startsWith("destroyed") ?? false;
    const note = wasDestroyed ? `guest ignored ACPI shutdown for ${timeoutMs / 1000} s: destroyed` : "";
    return { server: await this.show(server.id), note };
  }

  /** A server in its verify window is confirmed first, so that its source is not left behind. */
  async deleteServer(nameOrId: string, requestedBy: RequestedBy, { noWait = false } = {}): Promise<void> {
    const server = await findServer(this.#deps.store.queries, nameOrId);
    await this.#deletion.ask(server, this.#requester(requestedBy));
    await this.#follow(this.#deletion.bringAbout(server.id), noWait);
  }

  /** What was asked of a server, newest first; by id also of one that is gone. */
  async actions(nameOrId: string): Promise<ServerAction[]> {
    const { queries } = this.#deps.store;
    const server = await findServer(queries, nameOrId).catch(() => undefined);
    return actionsOf(queries, server?.id ?? nameOrId);
  }

  lock(nameOrId: string, request: { as: "owner" | "admin"; reason: string; requestedBy: RequestedBy }) {
    const requester = this.#requester(request.requestedBy);
    return lockServer(this.#deps, nameOrId, { ...request, requester });
  }

  unlock(nameOrId: string, requestedBy: RequestedBy): Promise<Server> {
    return unlockServer(this.#deps, nameOrId, this.#requester(requestedBy));
  }

  resetState(nameOrId: string, state: string, requestedBy: RequestedBy): Promise<Server> {
    return resetServerState(this.#deps, nameOrId, state, this.#requester(requestedBy));
  }

  #requester(requestedBy: RequestedBy): Requester {
    return requesterOf(requestedBy, this.#deps.newId);
  }

  /** A caller who does not wait finds the outcome among the server's actions. */
  async #follow<Result>(task: Promise<Result>, noWait: boolean): Promise<Result | undefined> {
    if (!noWait) return task;
    task.catch(() => undefined);
    return undefined;
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

  async #take(nameOrId: string, task: Task, verb: Verb, requestedBy: RequestedBy): Promise<ServerRecord> {
    const { store, clock, owner } = this.#deps;
    await refuseFrozen(store.queries);
    const requester = this.#requester(requestedBy);
    return store.transaction(async queries => {
      const nowMs = clock.nowMs();
      const server = await findServer(queries, nameOrId);
      refuseLocked(server, requester);
      const isFit = task.from.includes(server.vmState);
      if (!isFit || !(await takeServer(queries, server.id, task.taskState, nowMs)))
        throw conflictOf(task.action, server, server.id, task.from);
      const pending = this.#tasks.request(server.id, server.epoch, verb);
      await updateServer(queries, server.id, { pending, taskOwner: owner }, nowMs);
      const asked = { serverId: server.id, action: task.action, host: server.host };
      await recordAction(queries, asked, requester, nowMs);
      return server;
    });
  }
}

/** Something that an agent does with a server outside migrations. */
interface Task {
  /** As Nova names it. */
  readonly action: string;
  readonly taskState: string;
  /** States of the server in which it may be asked. */
  readonly from: readonly string[];
}

const START: Task = { action: "start", taskState: "powering-on", from: ["stopped"] };
const STOP: Task = { action: "stop", taskState: "powering-off", from: ["active", "error"] };

interface StopRequest {
  readonly timeoutMs?: number;
  readonly noWait?: boolean;
  readonly requestedBy: RequestedBy;
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
