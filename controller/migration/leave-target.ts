/**
 * Leaving a target, in two parts that are never swapped. *Withdraw* makes it give its word that nothing of this
 * migration can run there, and keeps every file. *Leave* removes the files and closes the migration there for good.
 */

import { Fault } from "../../proto/fault.js";
import type { Receipt } from "../../proto/gen/ferry/v1/agent.js";
import type { MigrationWorld } from "./migration-world.js";
import type { MigrationRequest } from "./request.js";

/**
 * The target's mirror receipt (SAFETY R4). Asked for even when the target is believed untouched: only its own answer
 * counts. Several undos need it; one key per epoch makes them one effect. Nothing when prepare-target was never sent.
 */
export async function withdrawTarget(
  { sourceHost }: MigrationRequest,
  world: MigrationWorld,
): Promise<Receipt | undefined> {
  const { targetHost, targetAsked } = await world.record();
  if (!targetAsked) return undefined;
  const { receipt } = await world.perform(
    targetHost,
    { $case: "withdrawTarget", value: { afterRun: world.call.byPerson, peerHost: sourceHost } },
    { effect: `withdraw:${world.call.epoch}` },
  );
  if (receipt === undefined) throw new Fault("internal", `${targetHost} answered no mirror receipt`);
  return receipt;
}

/** A target that is the source's own host is not closed: the source still needs the migration there. */
export async function leaveTarget(world: MigrationWorld, outcome: string): Promise<void> {
  const { targetHost, sourceHost, targetAsked } = await world.record();
  if (!targetAsked) return;
  await world.perform(targetHost, { $case: "removeTargetFiles", value: {} });
  if (targetHost === sourceHost) return;
  await world.perform(targetHost, { $case: "closeMigration", value: { outcome } });
}
