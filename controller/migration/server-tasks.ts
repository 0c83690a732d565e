/**
 * Carries out what a server's row says its agent was asked: `pending`, one request at a time, with a key of its own.
 *
 * The row is written before the agent is called and changed when it has answered, so a controller that stops between
 * the two asks again with the same key; if it does not come back another one adopts the task, with a new term. An unknown
 * outcome is repeated for ever in the background; the caller is told after a while. A plain no ends the task and is the
 * caller's answer.
 */

import { asFault, Fault } from "../../proto/fault.js";
import { fromFaultInfo, toFaultInfo } from "../../proto/fault-info.js";
import type { PerformRequest, PerformResult } from "../../proto/gen/ferry/v1/agent.js";
import { findRequested } from "../store/actions.js";
import { deleteAllocations } from "../store/allocations.js";
import type { Queries } from "../store/schema.js";
import {
  deleteServerRow,
  findOrphanedTask,
  findServerById,
  raiseTerm,
  type ServerRecord,
  updateServer,
} from "../store/servers.js";
import { endAction } from "./actions.js";
import type { MigrationDependencies } from "./dependencies.js";
import type { Verb } from "./migration-world.js";

/** How long a caller waits for an agent that does not answer. */
const CALLER_LIMIT_MS = 10 * 60_000;
const TASK_LIMIT_MS = 30 * 60_000;
const RETRY_MS = 2_000;
const LOOK_AGAIN_MS = 500;

export class ServerTasks {
  readonly #deps: MigrationDependencies;
  readonly #running = new Map<string, Promise<PerformResult>>();
  readonly #closing = new AbortController();

  constructor(deps: MigrationDependencies) {
    this.#deps = deps;
  }

  request(serverId: string, epoch: number, verb: Verb): PerformRequest {
    const key = `${serverId}:${verb.$case}:${this.#deps.newId()}`;
    return { key, serverId, migrationId: "", epoch, term: 0, limitMs: TASK_LIMIT_MS, verb };
  }

  /** Becomes the owner of one server's task, or of its deletion, that no controller carries out any more. */
  async adopt(): Promise<ServerRecord | undefined> {
    if (this.#closing.signal.aborted) return undefined;
    const { store, clock, owner } = this.#deps;
    return store.transaction(async queries => {
      const id = await findOrphanedTask(queries, owner);
      if (id === undefined) return undefined;
      await raiseTerm(queries, id);
      await updateServer(queries, id, { taskOwner: owner }, clock.nowMs());
      return findServerById(queries, id);
    });
  }

  /** The agent's answer, or its refusal; `timeout` when neither has come and the task goes on without the caller. */
  async carryOut(serverId: string): Promise<PerformResult> {
    const { clock } = this.#deps;
    const task = this.#begin(serverId);
    const waiting = new AbortController();
    const signal = AbortSignal.any([waiting.signal, this.#closing.signal]);
    const late = clock.sleep(CALLER_LIMIT_MS, signal).then(() => {
      throw new Fault("timeout", `the agent of server ${serverId} has not answered yet; the task goes on`);
    });
    try {
      return await Promise.race([task, late]);
    } finally {
      waiting.abort(new Fault("cancelled", "answered"));
      late.catch(() => undefined);
      task.catch(() => undefined);
    }
  }

  /** The same for what was asked for before, whichever controller carries it out; thrown if it was refused. */
  async outcome(requestId: string): Promise<void> {
    const { store, clock } = this.#deps;
    const startedMs = clock.monotonicMs();
    while (clock.monotonicMs() - startedMs < CALLER_LIMIT_MS) {
      const action = await findRequested(store.queries, requestId);
      if (action?.fault !== undefined) throw fromFaultInfo(action.fault);
      if (action?.endedAtMs !== 0) return;
      await clock.sleep(LOOK_AGAIN_MS, this.#closing.signal);
    }
    throw new Fault("timeout", `${requestId} is still being carried out`);
  }

  async close(): Promise<void> {
    this.#closing.abort(new Fault("cancelled", "the controller is stopping"));
    await Promise.allSettled(this.#running.values());
  }

  #begin(serverId: string): Promise<PerformResult> {
    const known = this.#running.get(serverId);
    if (known !== undefined) return known;
    const task = this.#carryOut(serverId).finally(() => this.#running.delete(serverId));
    this.#running.set(serverId, task);
    return task;
  }

  async #carryOut(serverId: string): Promise<PerformResult> {
    for (;;) {
      const server = await findServerById(this.#deps.store.queries, serverId);
      if (server?.pending === undefined || server.taskOwner !== this.#deps.owner)
        throw new Fault("conflict", `server ${serverId} has no task of this controller any more`);
      try {
        const answer = await this.#perform(server, server.pending);
        await this.#write(server, queries =>
          this.#finish(queries, server, server.pending?.verb?.$case, answer),
        );
        return answer;
      } catch (error) {
        this.#closing.signal.throwIfAborted();
        const fault = asFault(error);
        if (!fault.isUnknown) {
          await this.#write(server, queries => this.#refused(queries, server, fault));
          throw fault;
        }
        await this.#deps.clock.sleep(RETRY_MS, this.#closing.signal);
      }
    }
  }

  async #perform({ host, name, term }: ServerRecord, request: PerformRequest): Promise<PerformResult> {
    const answer = await this.#deps.agent
      .perform(host, { ...request, term }, { signal: this.#closing.signal })
      .catch((error: unknown) => {
        throw asFault(error).during(`${request.verb?.$case ?? "task"} of ${name} on ${host}`);
      });
    const [refusal] = answer.refusals;
    if (refusal === undefined) return answer;
    throw new Fault("refused", refusal.message, { have: refusal.have, need: refusal.need, fix: refusal.fix });
  }

  /** What became of a task, unless another controller has taken it over meanwhile. */
  #write({ id, pending }: ServerRecord, body: (queries: Queries) => Promise<void>): Promise<void> {
    return this.#deps.store.transaction(async queries => {
      const now = await findServerById(queries, id);
      const isOurs = now?.taskOwner === this.#deps.owner && now.pending?.key === pending?.key;
      if (!isOurs)
        throw new Fault("conflict", `the task of server ${id} is carried out by another controller`);
      await body(queries);
    });
  }

  async #finish(
    queries: Queries,
    server: ServerRecord,
    verb: Verb["$case"] | undefined,
    { server: said }: PerformResult,
  ): Promise<void> {
    const nowMs = this.#deps.clock.nowMs();
    const free = { taskState: "", pending: undefined, fault: undefined };
    const after = verb === "deleteDomain" ? {} : afterVerb(verb, said, server);
    await updateServer(queries, server.id, { ...free, ...after }, nowMs);
    await endAction(queries, server.id, nowMs);
    if (verb === "deleteDomain") await forget(queries, server.id);
  }

  /** A server that could not be made is removed again, first by its agent; every other one is as before. */
  async #refused(queries: Queries, server: ServerRecord, fault: Fault): Promise<void> {
    const nowMs = this.#deps.clock.nowMs();
    const verb = server.pending?.verb?.$case;
    await endAction(queries, server.id, nowMs, toFaultInfo(fault));
    if (verb === "takeDomain") return forget(queries, server.id);
    if (verb === "createDomain") {
      const pending = this.request(server.id, server.epoch, { $case: "deleteDomain", value: {} });
      await updateServer(
        queries,
        server.id,
        { taskState: "deleting", pending, fault: toFaultInfo(fault) },
        nowMs,
      );
      queueMicrotask(() => void this.#afterwards(server.id));
      return;
    }
    const kept = { vmState: "error", deleteAsked: false, fault: toFaultInfo(fault) };
    const changes = verb === "deleteDomain" ? kept : {};
    await updateServer(queries, server.id, { taskState: "", pending: undefined, ...changes }, nowMs);
  }

  async #afterwards(serverId: string): Promise<void> {
    await this.#running.get(serverId)?.catch(() => undefined);
    if (!this.#closing.signal.aborted) await this.#begin(serverId).catch(() => undefined);
  }
}

async function forget(queries: Queries, serverId: string): Promise<void> {
  await deleteAllocations(queries, serverId);
  await deleteServerRow(queries, serverId);
}

function afterVerb(
  verb: Verb["$case"] | undefined,
  said: PerformResult["server"],
  before: ServerRecord,
): Partial<ServerRecord> {
  if (verb === "startDomain") return { vmState: "active", powerState: "RUNNING" };
  if (verb === "stopDomain") return { vmState: "stopped", powerState: "SHUTDOWN" };
  const powerState = said?.powerState || before.powerState;
  const seen = said === undefined ? {} : { disks: said.disks, interfaces: said.interfaces };
  return { ...seen, powerState, vmState: powerState === "RUNNING" ? "active" : "stopped" };
}
