/**
 * The CPUs run. This step is the crossing: its beginning is the controller's durable `may_have_run`, committed before
 * the target is called, and from then on only a person's revert goes back (SAFETY R3).
 */

import { fromFaultInfo } from "../../../proto/fault-info.js";
import type { Reversible } from "../../saga/step.js";
import { updateMigration } from "../../store/migrations.js";
import { updateServer } from "../../store/servers.js";
import { isGone } from "../fenced-host.js";
import type { MigrationWorld } from "../migration-world.js";
import type { MigrationRequest } from "../request.js";
import type { PreparedTarget } from "./prepare-target.js";
import type { StoppedSource } from "./stop-source.js";

export interface ReleasedTarget {
  /** 0 when the guest was off and stays off. */
  readonly releasedAtMs: number;
}

type Known = MigrationRequest & PreparedTarget & StoppedSource;

export const releaseTarget: Reversible<MigrationWorld, Known, ReleasedTarget> = {
  name: "release-target",
  limitMs: 60_000,
  /** A revert gives the guest its time to shut down. */
  undoLimitMs: 30 * 60_000,

  async run({ targetHost, stopped }, world) {
    if (!stopped.wasRunning) return { releasedAtMs: 0 };
    await world.perform(targetHost, { $case: "releaseTarget", value: {} });
    return { releasedAtMs: world.nowMs };
  },

  async done({ serverId, stopped, releasedAtMs }, { queries, sagaId, nowMs }) {
    if (!stopped.wasRunning) return;
    await updateServer(queries, serverId, { powerState: "RUNNING" }, nowMs);
    // The two clocks are different hosts': a guest is never back before it was off.
    const downtimeMs = Math.max(1, releasedAtMs - stopped.offAtMs);
    await updateMigration(queries, sagaId, { downtimeMs }, nowMs);
  },

  /**
   * A person's revert. The target runs on until the source has said that everything of it can be restored (SAFETY R2);
   * asked anew each time, because the answer is about now.
   */
  async undo(known, world) {
    const { sourceHost, targetHost, stopped, shutdownTimeoutMs } = known;
    const effect = `release-target:undo-${world.nowMs}`;
    const { refusals } = await world.perform(sourceHost, { $case: "preflightRevert", value: {} }, { effect });
    const [refusal] = refusals;
    if (refusal !== undefined) throw fromFaultInfo(refusal);
    if (!stopped.wasRunning || isGone(known, targetHost)) return;
    await world.perform(targetHost, {
      $case: "stopDomain",
      value: { timeoutMs: shutdownTimeoutMs, gracefulOnly: false },
    });
  },
};
