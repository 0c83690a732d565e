/**
 * What a person or a program can ask of servers, apart from moving them. One task per server at a time: a server that
 * is being worked on, or is in a migration, answers in Nova's words that it is not free.
 */

import type { AdoptServerResponse, CreateServerRequest } from "../../proto/gen/ferry/v1/controller.js";
import type { Server, ServerAction } from "../../proto/gen/ferry/v1/model.js";
import type { ActionRecord } from "../store/actions.js";
import { DEFAULT_ZONE, zonesByHost } from "../store/aggregates.js";
import { refuseFrozen } from "../store/freeze.js";
import type { ServerSelection } from "../store/server-selection.js";
import {
  findServer,
  listServers,
  type ServerRecord,
  serverMessage,
  showServer,
  takeServer,
  updateServer,
} from "../store/servers.js";
import { actionsOf, recordAction } from "./actions.js";
import { Admission, type AdoptRequest } from "./admission.js";
import { conflictOf } from "./conflict.js";
import { Deletion } from "./deletion.js";
import type { MigrationDependencies } from "./dependencies.js";
import type { Verb } from "./migration-world.js";
import type { Migrations } from "./migrations.js";
import { type RequestedBy, type Requester, refuseLocked, requesterOf } from "./requester.js";
import { ServerTasks } from "./server-tasks.js";
import { lockServer, resetServerState, unlockServer } from "./server-words.js";
import { checkedShutdownTimeout } from "./shutdown-timeout.js";

export class Servers {
  readonly #deps: MigrationDependencies;
  readonly #tasks: ServerTasks;
  readonly #admission: Admission;
  readonly #deletion: Deletion;

  constructor(deps: MigrationDependencies, migrations: Migrations) {
    this.#deps = deps;
    this.#tasks = new ServerTasks(deps);
    this.#admission = new Admission(deps, this.#tasks);
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
    const id = await this.#admission.create(request, requester);
    await this.#follow(this.#make(id, request.start, requester), request.noWait);
    return this.show(id);
  }

  async #make(id: string, start: boolean, requester: Requester): Promise<void> {
    await this.#tasks.carryOut(id);
    if (!start) return;
    // Part of the same action: it has its own request id only because every action needs one.
    const { requestDigest: _same, ...rest } = requester;
    await this.startServer(id, { ...rest, requestId: `req-${this.#deps.newId()}` });
  }

  /** Takes over a domain that exists, or only says what it would find. */
  async adopt(request: AdoptRequest): Promise<AdoptServerResponse> {
    const { id, ...seen } = await this.#admission.adopt(request, this.#requester(request.requestedBy));
    if (id === undefined) return seen;
    await this.#tasks.carryOut(id);
    return { ...seen, server: await this.show(id) };
  }

  async list(selection: ServerSelection = {}): Promise<Server[]> {
    const { queries } = this.#deps.store;
    const [found, zones] = [await listServers(queries, selection), await zonesByHost(queries)];
    return found.map(server => serverMessage(server, zones.get(server.host) ?? DEFAULT_ZONE));
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
    const value = { timeoutMs: checkedShutdownTimeout(timeoutMs), gracefulOnly: false };
    const verb: Verb = { $case: "stopDomain", value };
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

  /** Follows what was asked for before, as whoever asked for it does. */
  async outcome({ requestId }: ActionRecord, { noWait = false } = {}): Promise<void> {
    await this.#follow(this.#tasks.outcome(requestId), noWait);
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
