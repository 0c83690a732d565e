/**
 * Confirm and revert: which of the two a migration gets is decided once, by one guarded transaction (SAFETY R15), and its
 * saga carries it out. Whatever can be said against a verdict is said before, so that a refusal is the answer to the call.
 */

import { Fault } from "../../proto/fault.js";
import { fromFaultInfo } from "../../proto/fault-info.js";
import type { SagaRunner } from "../saga/runner.js";
import type { Write } from "../saga/step.js";
import { refuseFrozen } from "../store/freeze.js";
import { decideMigration, findMigration, type MigrationRecord } from "../store/migrations.js";
import type { Queries } from "../store/schema.js";
import { findServer, findServerById } from "../store/servers.js";
import { recordAction } from "./actions.js";
import { conflictOf } from "./conflict.js";
import type { MigrationDependencies } from "./dependencies.js";
import { isGone } from "./fenced-host.js";
import { requestOf } from "./migration-kind.js";
import type { MigrationWorld } from "./migration-world.js";
import { type RequestedBy, type Requester, refuseLocked, requesterOf } from "./requester.js";

const PREFLIGHT_LIMIT_MS = 30_000;

interface Meant {
  /** The migration that is meant; absent: whichever waits. */
  readonly migration?: string | undefined;
}

export interface ConfirmOptions extends Meant {
  /** Recorded in place of the confirm, in the same transaction: that of which it is a part. */
  readonly instead?: (queries: Queries) => Promise<void>;
}

export interface RevertRequest extends Meant {
  /** The caller knows that what was written on the target is lost. */
  readonly discardWrites: boolean;
  readonly requestedBy: RequestedBy;
}

type Dependencies = Pick<MigrationDependencies, "store" | "fleet" | "agent" | "clock" | "newId"> & {
  readonly runner: Pick<SagaRunner<MigrationWorld>, "load" | "decide">;
};

export class Verdicts {
  readonly #deps: Dependencies;

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  /** Decided when it resolves; answers the migration's id. */
  async confirm(
    server: string,
    requestedBy: RequestedBy,
    { migration, instead }: ConfirmOptions,
  ): Promise<string> {
    const { store, runner, newId } = this.#deps;
    await refuseFrozen(store.queries);
    const requester = requesterOf(requestedBy, newId);
    const record = await this.#finishedOf(server, "confirmResize", requester);
    refuseAnother(record, migration);
    await this.#refuseDown(record);
    await runner.decide(record.id, "confirm", requester.by, async write => {
      await decide(record, "confirming", write);
      if (instead !== undefined) await instead(write.queries);
      else await recordVerdict("confirmResize", record, requester, write);
    });
    return record.id;
  }

  /** Decided when it resolves; answers the migration's id. */
  async revert(server: string, { discardWrites, requestedBy, migration }: RevertRequest): Promise<string> {
    const { store, runner, newId } = this.#deps;
    await refuseFrozen(store.queries);
    const requester = requesterOf(requestedBy, newId);
    const record = await this.#revertibleOf(server, requester);
    refuseAnother(record, migration);
    if (!discardWrites) throw wouldDiscard(record);
    await this.#preflight(record);
    await runner.decide(record.id, "revert", requester.by, async write => {
      await decide(record, "reverting", write);
      await recordVerdict("revertResize", record, requester, write);
    });
    return record.id;
  }

  /** By the migration, not by what the server is said to be: a person may have declared it active or in error. */
  async #finishedOf(nameOrId: string, action: string, requester: Requester): Promise<MigrationRecord> {
    const server = await findServer(this.#deps.store.queries, nameOrId);
    refuseLocked(server, requester);
    const record = await findMigration(this.#deps.store.queries, server.migrationId);
    if (record?.status === "finished" && server.taskState === "") return record;
    if (record === undefined || server.taskState !== "")
      throw conflictOf(action, server, server.id, ["resized"]);
    throw new Fault("invalid-argument", "Instance has not been resized.", {
      have: `migration ${record.id}, ${record.status}`,
      fix: `ferry migration show ${record.id}`,
    });
  }

  /** Finished, or stuck where only a person's revert leads back. */
  async #revertibleOf(nameOrId: string, requester: Requester): Promise<MigrationRecord> {
    const server = await findServer(this.#deps.store.queries, nameOrId);
    refuseLocked(server, requester);
    const record = await findMigration(this.#deps.store.queries, server.migrationId);
    const isUnderWay = record?.status === "post-migrating" || record?.direction === "unwinding";
    if (record?.stuck === true && isUnderWay) return record;
    return this.#finishedOf(nameOrId, "revertResize", requester);
  }

  /** Also the target: after a confirm there is no way back to the source, and the target may be lost. */
  async #refuseDown({ id, sourceHost, targetHost }: MigrationRecord): Promise<void> {
    const { runner, fleet } = this.#deps;
    const { state } = await runner.load(id);
    for (const host of [targetHost, sourceHost]) {
      if (!isGone(requestOf(state.known), host)) await fleet.refuseDown(host);
    }
  }

  /** The source looks whether it can have the server back, while the target runs on (SAFETY R2). */
  async #preflight(record: MigrationRecord): Promise<void> {
    const { agent, clock, store } = this.#deps;
    const server = await findServerById(store.queries, record.serverId);
    const request = {
      key: `${record.id}:revert:${clock.nowMs()}:preflight_revert`,
      serverId: record.serverId,
      migrationId: record.id,
      epoch: server?.epoch ?? 0,
      term: server?.term ?? 0,
      limitMs: PREFLIGHT_LIMIT_MS,
      verb: { $case: "preflightRevert" as const, value: {} },
    };
    const signal = AbortSignal.timeout(PREFLIGHT_LIMIT_MS);
    const { refusals } = await agent.perform(record.sourceHost, request, { signal });
    const [refusal] = refusals;
    if (refusal !== undefined) throw fromFaultInfo(refusal);
  }
}

/** The one guarded update by which confirm, revert, auto-confirm and delete exclude each other (SAFETY R15). */
async function decide(record: MigrationRecord, to: "confirming" | "reverting", write: Write): Promise<void> {
  if (await decideMigration(write.queries, record.id, record.status, to, write.nowMs)) return;
  throw new Fault("conflict", `migration ${record.id} has been decided already`);
}

const recordVerdict = (
  action: "confirmResize" | "revertResize",
  { id: migrationId, serverId }: MigrationRecord,
  requester: Requester,
  { queries, nowMs }: Write,
): Promise<void> => recordAction(queries, { serverId, action, migrationId }, requester, nowMs);

/** A request that comes late, or twice, must not decide on what nobody had seen when it was made (SAFETY R3). */
function refuseAnother({ id, serverName }: MigrationRecord, meant = ""): void {
  if (meant === "" || meant === id) return;
  throw new Fault("conflict", `${serverName} waits for a verdict on another migration`, {
    have: `migration ${id}`,
    need: `migration ${meant}`,
    fix: `look at it first: ferry migration show ${id}`,
  });
}

function wouldDiscard({ targetHost, serverName, steps }: MigrationRecord): Fault {
  const sinceMs = steps.find(step => step.name === "release-target")?.startedAtMs ?? 0;
  // Not known where somebody else started it.
  const since = sinceMs === 0 ? "" : ` since ${new Date(sinceMs).toISOString()}`;
  return new Fault(
    "refused",
    `what ${serverName} has written on ${targetHost}${since} will be discarded by a revert`,
    {
      need: "your consent to that loss (discard_writes)",
      fix: `ferry server revert ${serverName}, which asks for it; or keep them: ferry server confirm ${serverName}`,
    },
  );
}
