/** The same machine, written for the target. Its agent refuses without a receipt for every disk. */

import { nothingToUndo, type Reversible } from "../../saga/step.js";
import { updateServer } from "../../store/servers.js";
import type { MigrationWorld } from "../migration-world.js";
import type { MigrationRequest } from "../request.js";
import type { PreparedDisks } from "./prepare-disks.js";
import type { PreparedTarget } from "./prepare-target.js";

type Known = MigrationRequest & PreparedTarget & PreparedDisks;

export const defineTarget: Reversible<MigrationWorld, Known, object> = {
  name: "define-target",
  limitMs: 60_000,

  async run({ targetHost, plan, receipt }, world) {
    await world.perform(targetHost, { $case: "defineTarget", value: { plan, copy: receipt } });
    return {};
  },

  done: ({ serverId, plan }, { queries, nowMs }) =>
    updateServer(queries, serverId, { disks: plan.disks }, nowMs),

  /** Undefined with everything else when the target is withdrawn. */
  undo: nothingToUndo,
  undone: ({ serverId, disks }, { queries, nowMs }) => updateServer(queries, serverId, { disks }, nowMs),
};
