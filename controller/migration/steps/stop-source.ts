/**
 * The guest is asked to shut down until its time is up, then destroyed (SAFETY R20); whether it ran is remembered. Its
 * agent notes when it had to be destroyed. A guest that is off already is left alone.
 */

import { Fault } from "../../../proto/fault.js";
import type { StoppedGuest } from "../../../proto/gen/ferry/v1/agent.js";
import type { Reversible } from "../../saga/step.js";
import { updateMigration } from "../../store/migrations.js";
import { updateServer } from "../../store/servers.js";
import type { MigrationWorld } from "../migration-world.js";
import type { MigrationRequest } from "../request.js";
import type { PreparedTarget } from "./prepare-target.js";

export interface StoppedSource {
  readonly stopped: StoppedGuest;
  /** By this controller's clock, which is also asked whether the guest has been off for too long. */
  readonly offSinceMs: number;
}

type Known = MigrationRequest & PreparedTarget;

export const stopSource: Reversible<MigrationWorld, Known, StoppedSource> = {
  name: "stop-source",
  limitMs: 30 * 60_000,

  async begun({ serverId }, { queries, sagaId, nowMs }) {
    await updateServer(queries, serverId, { taskState: "resize_migrating" }, nowMs);
    await updateMigration(queries, sagaId, { status: "migrating" }, nowMs);
  },

  async run(known, world) {
    if (wasOff(known)) return { stopped: neverRan, offSinceMs: 0 };
    const { sourceHost, shutdownTimeoutMs: timeoutMs, gracefulOnly } = known;
    const { stopped } = await world.perform(sourceHost, {
      $case: "stopDomain",
      value: { timeoutMs, gracefulOnly },
    });
    if (stopped === undefined) throw new Fault("internal", `${sourceHost} did not say how the guest stopped`);
    return { stopped, offSinceMs: stopped.wasRunning ? world.nowMs : 0 };
  },

  done: ({ serverId }, { queries, nowMs }) =>
    updateServer(queries, serverId, { powerState: "SHUTDOWN" }, nowMs),

  /** Also when stopping failed half-way: the guest ran before, so it runs again. */
  async undo(known, world) {
    if (wasOff(known) || known.stopped?.wasRunning === false) return;
    await world.perform(known.sourceHost, { $case: "startDomain", value: {} });
  },
  undone: ({ serverId, powerState }, { queries, nowMs }) =>
    updateServer(queries, serverId, { powerState }, nowMs),
};

const wasOff = ({ manifest }: Known): boolean => manifest.powerState === "SHUTDOWN";

const neverRan: StoppedGuest = { wasRunning: false, how: "off-already", offAtMs: 0 };
