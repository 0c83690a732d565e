/**
 * Created paused: the last thing that can fail (SAFETY R3). The target's agent checks the source's fence receipt
 * itself. A guest that was off is not created, but with this may be started here from now on.
 */

import { nothingToUndo, type Reversible } from "../../saga/step.js";
import type { MigrationWorld } from "../migration-world.js";
import type { FencedSource } from "./fence-source.js";
import type { PreparedTarget } from "./prepare-target.js";
import type { StoppedSource } from "./stop-source.js";

type Known = PreparedTarget & FencedSource & StoppedSource;

export const createTarget: Reversible<MigrationWorld, Known, object> = {
  name: "create-target",
  limitMs: 2 * 60_000,

  async run({ targetHost, fenceReceipt, stopped }, world) {
    const leaveOff = !stopped.wasRunning;
    await world.perform(targetHost, { $case: "createTarget", value: { fenceReceipt, leaveOff } });
    return {};
  },

  /** Destroyed with everything else when the target is withdrawn. */
  undo: nothingToUndo,
};
