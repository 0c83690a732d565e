/**
 * How a server ends. A migration that holds it is brought to its end first (SAFETY R16): in its verify window it is
 * confirmed, on its way it is taken back. The wish is in the server's row before anything else is done, so a controller
 * that stops in between is followed by one that carries on.
 */

import { Fault } from "../../proto/fault.js";
import { refuseFrozen } from "../store/freeze.js";
import { findMigration, type MigrationRecord } from "../store/migrations.js";
import type { Queries } from "../store/schema.js";
import { findServerById, type ServerRecord, takeServer, updateServer } from "../store/servers.js";
import { recordAction } from "./actions.js";
import { conflictOf } from "./conflict.js";
import type { MigrationDependencies } from "./dependencies.js";
import type { Migrations } from "./migrations.js";
import { type Requester, refuseLocked } from "./requester.js";
import type { ServerTasks } from "./server-tasks.js";

const LOOK_AGAIN_MS = 2_000;

export class Deletion {
  readonly #deps: MigrationDependencies;
  readonly #migrations: Migrations;
  readonly #tasks: ServerTasks;
  readonly #closing = new AbortController();
  readonly #running = new Map<string, Promise<void>>();

  constructor(deps: MigrationDependencies, migrations: Migrations, tasks: ServerTasks) {
    this.#deps = deps;
    this.#migrations = migrations;
    this.#tasks = tasks;
  }

  /** Decided and durable when it resolves; `bringAbout` follows it to the end. */
  async ask(server: ServerRecord, requester: Requester): Promise<void> {
    refuseLocked(server, requester);
    await refuseFrozen(this.#deps.store.queries);
    const migration = await findMigration(this.#deps.store.queries, server.migrationId);
    const wish = async (queries: Queries) => {
      const nowMs = this.#deps.clock.nowMs();
      const taskOwner = this.#deps.owner;
      await updateServer(queries, server.id, { deleteAsked: true, taskOwner }, nowMs);
      await recordAction(
        queries,
        { serverId: server.id, action: "delete", host: server.host },
        requester,
        nowMs,
      );
    };
    // One transaction with the confirm: refused together, for instance while the source does not answer.
    if (migration?.status === "finished")
      await this.#migrations.confirm(server.id, requester, { migration: migration.id, instead: wish });
    else if (migration?.open === true) await this.#deps.store.transaction(wish);
    else await this.#take(server.id, wish);
  }

  /** Until the server is gone, or its agent has refused to delete it. */
  bringAbout(serverId: string): Promise<void> {
    const known = this.#running.get(serverId);
    if (known !== undefined) return known;
    const running = this.#bringAbout(serverId).finally(() => this.#running.delete(serverId));
    this.#running.set(serverId, running);
    return running;
  }

  async close(): Promise<void> {
    this.#closing.abort(new Fault("cancelled", "the controller is stopping"));
    await Promise.allSettled(this.#running.values());
  }

  async #bringAbout(serverId: string): Promise<void> {
    for (;;) {
      const server = await findServerById(this.#deps.store.queries, serverId);
      if (server?.deleteAsked !== true) return;
      const migration = await findMigration(this.#deps.store.queries, server.migrationId);
      if (migration === undefined) {
        if (server.pending === undefined) await this.#take(serverId, async () => {});
        await this.#tasks.carryOut(serverId);
        return;
      }
      // Somebody else may have decided meanwhile; then that is waited for.
      await this.#end(migration).catch(ignoreConflict);
      await this.#deps.clock.sleep(LOOK_AGAIN_MS, this.#closing.signal);
    }
  }

  async #end({ id, serverId, status, direction, stuck }: MigrationRecord): Promise<void> {
    if (status === "finished") await this.#migrations.confirm(serverId, "delete", { migration: id });
    else if (direction === "forward" && status !== "confirming" && !stuck)
      await this.#migrations.cancel(id, "delete");
  }

  async #take(serverId: string, also: (queries: Queries) => Promise<void>): Promise<void> {
    const { store, clock, owner } = this.#deps;
    await store.transaction(async queries => {
      const now = await findServerById(queries, serverId);
      const isWhole = now !== undefined && STATES.includes(now.vmState);
      if (!isWhole || !(await takeServer(queries, serverId, "deleting", clock.nowMs())))
        throw conflictOf("delete", now, serverId, STATES);
      const pending = this.#tasks.request(serverId, now.epoch, { $case: "deleteDomain", value: {} });
      await updateServer(queries, serverId, { pending, taskOwner: owner }, clock.nowMs());
      await also(queries);
    });
  }
}

/** Not `building`: its agent has not said what there is to delete. */
const STATES: readonly string[] = ["active", "stopped", "error"];

function ignoreConflict(error: unknown): void {
  if (error instanceof Fault && (error.code === "conflict" || error.isUnknown)) return;
  throw error;
}
