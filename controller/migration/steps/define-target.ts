/** The same machine, written for the target. Its agent refuses without a receipt for every disk. */

import type { SourceManifest, TargetPlan } from "../../../proto/gen/ferry/v1/agent.js";
import type { Disk } from "../../../proto/gen/ferry/v1/model.js";
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

  done: ({ serverId, manifest, plan }, { queries, nowMs }) =>
    updateServer(queries, serverId, { disks: disksOnTarget(manifest, plan) }, nowMs),

  /** Undefined with everything else when the target is withdrawn. */
  undo: nothingToUndo,
  undone: ({ serverId, disks }, { queries, nowMs }) => updateServer(queries, serverId, { disks }, nowMs),
};

/** The manifest's disks with the paths that the plan gives their files. */
export function disksOnTarget(manifest: SourceManifest, plan: TargetPlan): Disk[] {
  const planned = new Map(plan.files.map(({ id, path }) => [id, path]));
  const moved = new Map(manifest.files.map(({ id, path }) => [path, planned.get(id) ?? path]));
  const at = (path: string) => moved.get(path) ?? path;
  return manifest.disks.map(disk => ({
    ...disk,
    path: at(disk.path),
    backing: disk.backing.map(file => ({ ...file, path: at(file.path) })),
  }));
}
