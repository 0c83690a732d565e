/**
 * The server's volumes and networks at the target. Bridges and networks are named by the domain itself and are
 * connected with its definition, so there is nothing to do for a server without volumes.
 */

import { nothingToUndo, type Reversible } from "../../saga/step.js";
import type { MigrationWorld } from "../migration-world.js";
import type { PreparedTarget } from "./prepare-target.js";

export const connectTarget: Reversible<MigrationWorld, PreparedTarget, object> = {
  name: "connect-target",
  limitMs: 60_000,
  run: async () => ({}),
  undo: nothingToUndo,
};
