/**
 * The server's volumes and block devices are reached from the target, now that the source has let go of them. Bridges and
 * networks are named by the domain itself and are connected with its definition: there is nothing to do for a server without.
 */

import { nothingToUndo, type Reversible } from "../../saga/step.js";
import type { MigrationWorld } from "../migration-world.js";
import type { PreparedTarget } from "./prepare-target.js";

export const connectTarget: Reversible<MigrationWorld, PreparedTarget, object> = {
  name: "connect-target",
  limitMs: 5 * 60_000,

  async run({ targetHost, manifest }, world) {
    const staysPut = manifest.volumes.length + manifest.blockDevices.length > 0;
    if (staysPut) await world.perform(targetHost, { $case: "connectTarget", value: {} });
    return {};
  },

  /** QEMU lets go of them when it ends, which withdrawing the target sees to. */
  undo: nothingToUndo,
};
