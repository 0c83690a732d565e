/** Both hosts close the migration for good; the source's allocation is let go and the server is as any other. */

import { finishMove } from "../../placement/placement.js";
import type { Onward } from "../../saga/step.js";
import { updateMigration } from "../../store/migrations.js";
import { findServerById, updateServer } from "../../store/servers.js";
import { isGone } from "../fenced-host.js";
import type { MigrationWorld } from "../migration-world.js";
import type { MigrationRequest } from "../request.js";
import type { PreparedTarget } from "./prepare-target.js";

export const release: Onward<MigrationWorld, MigrationRequest & PreparedTarget, object> = {
  name: "release",
  limitMs: 60_000,

  async run(known, world) {
    const { sourceHost, targetHost } = known;
    for (const host of new Set([targetHost, sourceHost])) {
      if (isGone(known, host)) continue;
      await world.perform(host, { $case: "closeMigration", value: { outcome: "confirmed" } });
    }
    return {};
  },

  async done({ serverId }, { queries, sagaId, nowMs }) {
    await finishMove(queries, sagaId);
    const server = await findServerById(queries, serverId);
    const vmState = server?.powerState === "SHUTDOWN" ? "stopped" : "active";
    await updateServer(queries, serverId, { vmState, taskState: "", migrationId: "" }, nowMs);
    await updateMigration(queries, sagaId, { status: "confirmed", open: false }, nowMs);
  },
};
