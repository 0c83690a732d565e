/**
 * Leaving a target, in two parts that are never swapped. *Withdraw* makes it give its word that nothing of this
 * migration can run there, and keeps every file. *Leave* removes the files and closes the migration there for good.
 */

import { Fault } from "../../proto/fault.js";
import type { Receipt } from "../../proto/gen/ferry/v1/agent.js";
import { isGone } from "./fenced-host.js";
import type { MigrationWorld } from "./migration-world.js";
import type { MigrationRequest } from "./request.js";

/**
 * The target's mirror receipt (SAFETY R4). Asked for even when the target is believed untouched: only its own answer
 * counts, or a person's word that its host is dead. Several undos need it; one key per epoch makes them one effect. Nothing when prepare-target was never sent.
 */
export async function withdrawTarget(
  known: MigrationRequest,
  world: MigrationWorld,
): Promise<Receipt | undefined> {
  const { targetHost, targetAsked } = await world.record();
  if (!targetAsked || isGone(known, targetHost)) return undefined;
  const { sourceHost } = known;
  const { epoch, byPerson } = world.call;
  const { receipt } = await world.perform(
    targetHost,
    { $case: "withdrawTarget", value: { afterRun: byPerson, peerHost: sourceHost } },
    // What was refused to an unwinding is asked for anew when a person takes that over.
    { effect: byPerson ? `withdraw:${epoch}:by-person` : `withdraw:${epoch}` },
  );
  if (receipt === undefined) throw new Fault("internal", `${targetHost} answered no mirror receipt`);
  return receipt;
}

/** A target that is the source's own host is not closed: the source still needs the migration there. */
export async function leaveTarget(
  known: MigrationRequest,
  world: MigrationWorld,
  outcome: string,
): Promise<void> {
  const { targetHost, sourceHost, targetAsked } = await world.record();
  if (!targetAsked) return;
  if (isGone(known, targetHost)) return world.note(`not removed from ${targetHost}, which was declared dead`);
  await world.perform(targetHost, { $case: "removeTargetFiles", value: {} });
  if (targetHost === sourceHost) return;
  await world.perform(targetHost, { $case: "closeMigration", value: { outcome } });
}
