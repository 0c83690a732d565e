/**
 * Refuses a PostgreSQL that could forget what it has said is committed (SAFETY R13): agents would then know of epochs
 * and receipts that no controller remembers.
 */

import { sql } from "kysely";
import { Fault } from "../../proto/fault.js";
import type { Queries } from "./schema.js";

interface Settings {
  readonly synchronous_commit: string;
  readonly fsync: string;
  readonly full_page_writes: string;
  readonly synchronous_standby_names: string;
  readonly standbys: number;
}

export async function refuseForgetful(
  queries: Queries,
  { allowLossyFailover }: { allowLossyFailover: boolean },
): Promise<void> {
  const { rows } = await sql<Settings>`
    SELECT current_setting('synchronous_commit') AS synchronous_commit, current_setting('fsync') AS fsync,
      current_setting('full_page_writes') AS full_page_writes,
      current_setting('synchronous_standby_names') AS synchronous_standby_names,
      (SELECT count(*) FROM pg_stat_replication) AS standbys`.execute(queries);
  const [settings] = rows;
  if (settings === undefined) throw new Fault("unreachable", "the store does not say how it is set up");
  for (const name of ["fsync", "full_page_writes"] as const) {
    if (settings[name] !== "on") throw forgetful(`${name} = ${settings[name]}`, `${name} = on`);
  }
  if (!["on", "remote_apply"].includes(settings.synchronous_commit)) {
    throw forgetful(`synchronous_commit = ${settings.synchronous_commit}`, "synchronous_commit = on");
  }
  if (settings.standbys > 0 && settings.synchronous_standby_names === "" && !allowLossyFailover) {
    throw forgetful(
      `${settings.standbys} standbys, none of them synchronous`,
      "synchronous_standby_names, or store_allow_lossy_failover = true in controller.toml",
    );
  }
}

const forgetful = (have: string, need: string): Fault =>
  new Fault("unsupported", "this PostgreSQL could forget what it has committed", {
    have,
    need,
    fix: "change postgresql.conf (or what ALTER DATABASE or ALTER ROLE has set) and start the controller again",
  });
