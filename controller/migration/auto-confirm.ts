/**
 * Confirms finished migrations when their verify window has passed (SAFETY R15).
 *
 * The window counts only time during which a controller was up, by a clock that never steps; what is left of it is in
 * the record. At its end the target must say, now, that all is well with the server; otherwise the confirm is
 * postponed with an event and tried again. A person may decide at any moment before. Of several controllers one does it.
 */

import { asFault } from "../../proto/fault.js";
import { listAwaitingConfirm, type MigrationRecord, updateMigration } from "../store/migrations.js";
import { holdDuty } from "../store/processes.js";
import { findServerById } from "../store/servers.js";
import { objectionTo } from "./attestation.js";
import type { MigrationDependencies } from "./dependencies.js";
import type { Migrations } from "./migrations.js";
import { noteMigration } from "./notify.js";

const TICK_MS = 5_000;
/** A tick that came late, because the process was stopped or starved, counts for no more than this. */
const LONGEST_TICK_MS = 2 * TICK_MS;
const POSTPONE_MS = 60_000;
const ATTEST_LIMIT_MS = 10_000;

type Dependencies = Pick<MigrationDependencies, "store" | "agent" | "clock" | "owner">;

export class AutoConfirm {
  readonly #deps: Dependencies;
  readonly #migrations: Migrations;

  constructor(deps: Dependencies, migrations: Migrations) {
    this.#deps = deps;
    this.#migrations = migrations;
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    let lastMs = clock.monotonicMs();
    while (!signal.aborted) {
      await clock.sleep(TICK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      const nowMs = clock.monotonicMs();
      const waiting = await listAwaitingConfirm(this.#deps.store.queries);
      if (waiting.length > 0 && (await this.#isOurs()))
        await this.#pass(waiting, Math.min(nowMs - lastMs, LONGEST_TICK_MS));
      lastMs = nowMs;
    }
  }

  #isOurs(): Promise<boolean> {
    const { store, owner } = this.#deps;
    return store.transaction(queries => holdDuty(queries, "auto-confirm", owner));
  }

  /** Takes `elapsedMs` off every window and confirms those that have none left. */
  async tick(elapsedMs: number): Promise<void> {
    await this.#pass(await listAwaitingConfirm(this.#deps.store.queries), elapsedMs);
  }

  async #pass(waiting: readonly MigrationRecord[], elapsedMs: number): Promise<void> {
    const { store, clock } = this.#deps;
    for (const record of waiting) {
      const leftMs = record.autoConfirmLeftMs - elapsedMs;
      if (leftMs > 0) {
        const window = { autoConfirmLeftMs: leftMs, autoConfirmAtMs: clock.nowMs() + leftMs };
        await updateMigration(store.queries, record.id, window, clock.nowMs());
      } else {
        await this.#confirm(record);
      }
    }
  }

  async #confirm(record: MigrationRecord): Promise<void> {
    try {
      const objection = await this.#objection(record);
      if (objection !== undefined)
        return await this.#postpone(record, `${record.targetHost} says that ${objection}`);
      await this.#migrations.confirm(record.serverId, "auto-confirm", { migration: record.id });
    } catch (error) {
      const fault = asFault(error);
      if (fault.code === "internal") throw error;
      await this.#postpone(record, fault.message);
    }
  }

  async #objection(record: MigrationRecord): Promise<string | undefined> {
    const { store, agent } = this.#deps;
    const server = await findServerById(store.queries, record.serverId);
    const signal = AbortSignal.timeout(ATTEST_LIMIT_MS);
    const said = await agent.attest(record.targetHost, record.serverId, signal);
    if (record.receipt.length === 0) return "there is no copy receipt";
    const powerState = record.downtimeMs === 0 ? "SHUTDOWN" : "RUNNING";
    // Whose incarnation it is retire-source checks again, with what the saga knows.
    return objectionTo(said, {
      incarnation: said.incarnation,
      epoch: server?.epoch ?? record.epoch,
      powerState,
    });
  }

  async #postpone(record: MigrationRecord, because: string): Promise<void> {
    const { store, clock } = this.#deps;
    await store.transaction(async queries => {
      const nowMs = clock.nowMs();
      const window = { autoConfirmLeftMs: POSTPONE_MS, autoConfirmAtMs: nowMs + POSTPONE_MS };
      await updateMigration(queries, record.id, window, nowMs);
      await noteMigration(queries, record.id, `auto-confirm postponed: ${because}`, nowMs);
    });
  }
}
