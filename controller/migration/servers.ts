/**
 * What a person or a program can ask of servers, apart from moving them. One task per server at a time: a server that
 * is being worked on, or is in a migration, answers in Nova's words that it is not free.
 */

import { Fault } from "../../proto/fault.js";
import type { InspectDomainResponse } from "../../proto/gen/ferry/v1/agent.js";
import type { AdoptServerResponse, CreateServerRequest } from "../../proto/gen/ferry/v1/controller.js";
import type { Flavor, Server } from "../../proto/gen/ferry/v1/model.js";
import { claimForServer } from "../placement/placement.js";
import { resourcesOf } from "../placement/resources.js";
import { chosenHosts, schedule } from "../scheduler/schedule.js";
import { findFlavor } from "../store/flavors.js";
import {
  findServer,
  findServerById,
  insertServer,
  listServers,
  type ServerRecord,
  serverMessage,
  statusOf,
  takeServer,
  updateServer,
} from "../store/servers.js";
import { conflictOf } from "./conflict.js";
import type { MigrationDependencies } from "./dependencies.js";
import { flavorOfDomain } from "./flavor-of-domain.js";
import type { Verb } from "./migration-world.js";
import type { Migrations } from "./operations.js";
import { ServerTasks } from "./server-tasks.js";

export interface AdoptRequest {
  readonly host: string;
  /** libvirt name or uuid. */
  readonly domain: string;
  readonly swapDisks: readonly string[];
  readonly ephemeralDisks: readonly string[];
  readonly dryRun: boolean;
  /** refuse | carry */
  readonly readOnlyDrives: string;
  readonly maxDowntimeSeconds: number;
  readonly requestedBy: string;
}

export interface ServerSelection {
  readonly host?: string | undefined;
  /** Derived status, such as ACTIVE. */
  readonly status?: string | undefined;
}

interface NewServer {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly flavor: Flavor;
  readonly owner: string;
  readonly image: string;
  readonly maxDowntimeSeconds: number;
  readonly powerState: string;
}

export class Servers {
  readonly #deps: MigrationDependencies;
  readonly #migrations: Migrations;
  readonly #tasks: ServerTasks;

  constructor(deps: MigrationDependencies, migrations: Migrations) {
    this.#deps = deps;
    this.#migrations = migrations;
    this.#tasks = new ServerTasks(deps);
  }

  /** Carries on what a stopped controller left unfinished. */
  start(): Promise<void> {
    return this.#tasks.resumeAll();
  }

  close(): Promise<void> {
    return this.#tasks.close();
  }

  /** Makes a server from a flavor and an image, on the host that was asked for or the scheduler's best. */
  async create(request: CreateServerRequest, requestedBy: string): Promise<Server> {
    const flavor = await findFlavor(this.#deps.store.queries, request.flavor);
    const [host] = await this.#hostsFor(flavor, request.host);
    const { name, imagePath: image, maxDowntimeSeconds } = request;
    const id = this.#deps.newId();
    const created = {
      id,
      name,
      host: host ?? "",
      flavor,
      owner: requestedBy,
      image,
      maxDowntimeSeconds,
      powerState: "SHUTDOWN",
    };
    const { imagePath, imageFormat, interfaces, firmware, vtpm, rootMode, configDrive } = request;
    await this.#admit(created, {
      $case: "createDomain",
      value: { name, flavor, imagePath, imageFormat, interfaces, firmware, vtpm, rootMode, configDrive },
    });
    await this.#tasks.carryOut(id);
    if (request.start) await this.startServer(id, requestedBy);
    return this.show(id);
  }

  /** Takes over a domain that exists, or only says what it would find. */
  async adopt(request: AdoptRequest): Promise<AdoptServerResponse> {
    const { host, domain, readOnlyDrives, requestedBy, maxDowntimeSeconds } = request;
    const disks = { swapDisks: [...request.swapDisks], ephemeralDisks: [...request.ephemeralDisks] };
    await this.#deps.fleet.show(host);
    const found = await this.#deps.agent.inspectDomain(host, { domain, readOnlyDrives, ...disks });
    const flavor = flavorOfDomain(found);
    const said = { suggestions: found.suggestions, refusals: found.refusals };
    if (request.dryRun || found.refusals.length > 0)
      return { server: serverSeen(found, host, flavor), ...said };
    const taken = {
      powerState: found.powerState,
      id: found.uuid,
      name: found.name,
      host,
      flavor,
      owner: requestedBy,
      image: "",
      maxDowntimeSeconds,
    };
    // The host may have known a server of this uuid before, and refuses every epoch of that time.
    const { epoch } = await this.#deps.agent.attest(host, found.uuid);
    await this.#admit(taken, { $case: "takeDomain", value: { ...disks, readOnlyDrives } }, epoch + 1);
    await this.#tasks.carryOut(found.uuid);
    return { server: await this.show(found.uuid), ...said };
  }

  async list({ host, status }: ServerSelection = {}): Promise<Server[]> {
    const all = await listServers(this.#deps.store.queries);
    return all
      .filter(server => host === undefined || server.host === host)
      .filter(server => status === undefined || statusOf(server.vmState, server.taskState) === status)
      .map(serverMessage);
  }

  async show(nameOrId: string): Promise<Server> {
    return serverMessage(await findServer(this.#deps.store.queries, nameOrId));
  }

  async startServer(nameOrId: string, _requestedBy: string): Promise<Server> {
    const server = await findServer(this.#deps.store.queries, nameOrId);
    await this.#take(server, "start", "powering-on", ["stopped"], { $case: "startDomain", value: {} });
    await this.#tasks.carryOut(server.id);
    return this.show(server.id);
  }

  async stopServer(
    nameOrId: string,
    { timeoutMs = this.#deps.settings.shutdownTimeoutMs }: { timeoutMs?: number; requestedBy: string },
  ): Promise<{ server: Server; note: string }> {
    const server = await findServer(this.#deps.store.queries, nameOrId);
    const verb: Verb = { $case: "stopDomain", value: { timeoutMs, gracefulOnly: false } };
    await this.#take(server, "stop", "powering-off", ["active"], verb);
    const { stopped } = await this.#tasks.carryOut(server.id);
    const wasDestroyed = stopped?.how.startsWith("destroyed") ?? false;
    const note = wasDestroyed ? `guest ignored ACPI shutdown for ${timeoutMs / 1000} s: destroyed` : "";
    return { server: await this.show(server.id), note };
  }

  /** A server in its verify window is confirmed first, so that its source is not left behind. */
  async deleteServer(nameOrId: string, requestedBy: string): Promise<void> {
    const server = await findServer(this.#deps.store.queries, nameOrId);
    if (server.vmState === "resized" && server.taskState === "")
      await this.#confirmFirst(server, requestedBy);
    const states = ["active", "stopped", "error"];
    await this.#take(server, "delete", "deleting", states, { $case: "deleteDomain", value: {} });
    await this.#tasks.carryOut(server.id);
  }

  async #confirmFirst({ id }: ServerRecord, requestedBy: string): Promise<void> {
    const { id: migrationId } = await this.#migrations.confirm(id, requestedBy);
    const signal = AbortSignal.timeout(CONFIRM_LIMIT_MS);
    for await (const { migration } of this.#migrations.watch(migrationId, { signal, untilEnded: true })) {
      if (migration.status === "confirmed") return;
    }
    throw new Fault(
      "timeout",
      `migration ${migrationId} is still being confirmed; delete the server afterwards`,
    );
  }

  async #hostsFor(flavor: Flavor, requestedHost: string): Promise<string[]> {
    const needed = resourcesOf(flavor);
    const asked = { needed, sourceHost: "", requestedHost, force: false, ignoreHosts: [] };
    return chosenHosts(schedule(await this.#deps.fleet.list(), asked), asked);
  }

  /** The row, its booking and what its agent will be asked are one transaction: nothing is forgotten by a crash. */
  async #admit(server: NewServer, verb: Verb, epoch = 1): Promise<void> {
    const { store, clock } = this.#deps;
    const nowMs = clock.nowMs();
    const pending = this.#tasks.request(server.id, epoch, verb);
    const unknown = { disks: [], interfaces: [], migrationId: "", fault: undefined };
    const building = { vmState: "building", taskState: "spawning", epoch, pending };
    await store.transaction(async queries => {
      await insertServer(queries, {
        ...server,
        ...unknown,
        ...building,
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
      });
      await claimForServer(queries, server.id, server.host, resourcesOf(server.flavor));
    });
  }

  async #take(
    server: ServerRecord,
    action: string,
    task: string,
    states: readonly string[],
    verb: Verb,
  ): Promise<void> {
    const { store, clock } = this.#deps;
    await store.transaction(async queries => {
      const now = await findServerById(queries, server.id);
      if (now === undefined || !states.includes(now.vmState)) throw conflictOf(action, now, server.id);
      if (!(await takeServer(queries, server.id, task, clock.nowMs())))
        throw conflictOf(action, now, server.id);
      const pending = this.#tasks.request(server.id, now.epoch, verb);
      await updateServer(queries, server.id, { pending }, clock.nowMs());
    });
  }
}

const CONFIRM_LIMIT_MS = 5 * 60_000;

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
  };
}
