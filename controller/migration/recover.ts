/**
 * Carries a migration on that waits for a person: looks at both hosts, says what it sees and would do, and does that.
 *
 *   its hosts have ended it   the record is closed as they say
 *   a host is declared dead   with the name of who says so; what that opens is done
 *   otherwise                 the saga tries again
 */

import { Fault } from "../../proto/fault.js";
import type { SagaState } from "../saga/fold.js";
import type { SagaRunner } from "../saga/runner.js";
import type { Write } from "../saga/step.js";
import { refuseFrozen } from "../store/freeze.js";
import { changeHost } from "../store/hosts.js";
import type { MigrationRecord } from "../store/migrations.js";
import { recordAction } from "./actions.js";
import type { MigrationDependencies } from "./dependencies.js";
import { quarantineFor, refuseUselessWord } from "./fenced-host.js";
import type { MigrationWorld } from "./migration-world.js";
import { outcomeOf } from "./reconcile.js";
import { findingsOf, type Intent, lookAtBoth, planOf } from "./recovery.js";
import { type RequestedBy, type Requester, requesterOf } from "./requester.js";
import { settle } from "./settle.js";

export interface RecoverRequest {
  readonly planOnly: boolean;
  readonly requestedBy: RequestedBy;
  /** A host that the caller declares dead. */
  readonly fencedHost?: string;
  readonly reason?: string;
}

export interface Recovered {
  readonly findings: string[];
  readonly plan: string[];
}

interface Told extends Intent {
  readonly reason: string;
  readonly requester: Requester;
}

type Dependencies = Pick<MigrationDependencies, "store" | "agent" | "clock" | "newId"> & {
  readonly runner: SagaRunner<MigrationWorld>;
};

export async function recover(
  record: MigrationRecord,
  { planOnly, requestedBy, fencedHost = "", reason = "" }: RecoverRequest,
  deps: Dependencies,
): Promise<Recovered> {
  const { state } = await deps.runner.load(record.id);
  if (fencedHost !== "") refuseUselessWord(fencedHost, record, state);
  if (fencedHost !== "" && reason === "") throw reasonMissing(fencedHost);
  const looks = await lookAtBoth(record, state, deps);
  const outcome = outcomeOf(looks.filter(look => "journal" in look));
  const intent = { fencedHost, outcome: isOutlived(state) ? outcome : "" };
  const plan = planOf(record, state, intent);
  const requester = requesterOf(requestedBy, deps.newId);
  if (!planOnly) await carryOn(record, state, { ...intent, reason, requester }, deps);
  return { findings: findingsOf(looks), plan };
}

/** Only a saga that is parked has been overtaken by the world; one under way ends by itself. */
const isOutlived = ({ stuck }: SagaState): boolean => stuck?.parked === true;

async function carryOn(
  record: MigrationRecord,
  state: SagaState,
  told: Told,
  deps: Dependencies,
): Promise<void> {
  const { store, runner } = deps;
  await refuseFrozen(store.queries);
  if (record.endedAtMs !== 0) return;
  const recorded = (write: Write) => recordRecovery(record, told.requester, write);
  if (told.outcome !== "")
    return runner.end(record.id, async write => {
      await settle(state, record.targetHost, told.outcome, write);
      await recorded(write);
    });
  const { by } = told.requester;
  if (told.fencedHost === "") return runner.resume(record.id, by, recorded);
  await declareDead(record, told, deps);
  const canUnwind = state.phase === "forward" && !state.crossed;
  if (canUnwind && told.fencedHost === record.targetHost) await runner.cancel(record.id, by);
}

const recordRecovery = (
  { id: migrationId, serverId }: MigrationRecord,
  requester: Requester,
  { queries, nowMs }: Pick<Write, "queries" | "nowMs">,
): Promise<void> =>
  recordAction(queries, { serverId, action: "recoverMigration", migrationId }, requester, nowMs);

/** Recorded with the name of who says so; the host is in quarantine from the same moment (SAFETY R21). */
async function declareDead(
  record: MigrationRecord,
  { fencedHost: host, reason, requester }: Told,
  { clock, runner }: Dependencies,
): Promise<void> {
  const { by } = requester;
  const declared = { host, by, reason, atMs: clock.nowMs() };
  await runner.tell(record.id, by, { fencedHost: declared }, async write => {
    await changeHost(write.queries, host, { quarantine: quarantineFor(declared, record.id) });
    await recordRecovery(record, requester, write);
  });
}

const reasonMissing = (host: string): Fault =>
  new Fault("invalid-argument", `why is ${host} known to be dead? It is recorded with your name`, {
    fix: "add --reason",
  });
