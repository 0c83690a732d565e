/** A migration as Nova shows it. Nova counts migrations and flavors; names of hosts are for administrators. */

import type { Migration } from "../../../../proto/gen/ferry/v1/model.js";
import { isAdmin, type NovaRequest } from "../route.js";
import { numberOf } from "../stable-ids.js";
import { preciseTimeOf } from "../times.js";

export function migrationView(request: NovaRequest, migration: Migration): object {
  const { version } = request;
  const hosts = {
    source_compute: migration.sourceHost,
    source_node: migration.sourceHost,
    dest_compute: migration.targetHost || null,
    dest_node: migration.targetHost || null,
    dest_host: migration.targetHost || null,
  };
  const hidden = Object.fromEntries(Object.keys(hosts).map(name => [name, null]));
  return {
    id: migration.number,
    instance_uuid: migration.serverId,
    status: novaStatus(migration),
    old_instance_type_id: numberOf("flavor", migration.oldFlavor?.id ?? ""),
    new_instance_type_id: numberOf("flavor", migration.newFlavor?.id ?? ""),
    created_at: preciseTimeOf(migration.createdAtMs),
    updated_at: preciseTimeOf(migration.updatedAtMs),
    ...(isAdmin(request) ? hosts : hidden),
    ...(version >= 23 ? { migration_type: migration.type } : {}),
    ...(version >= 59 ? { uuid: migration.id } : {}),
    ...(version >= 80
      ? { user_id: migration.requestedBy.replace(/^user\//, ""), project_id: migration.project || null }
      : {}),
  };
}

/**
 * Nova knows no `stuck`: such a migration goes on as soon as it can, or waits for a person; either way it holds the
 * server, and its step says where. A migration that was just claimed has no status in Ferry yet.
 */
function novaStatus({ status, step }: Migration): string {
  if (status === "") return "pre-migrating";
  if (status !== "stuck") return status;
  return step === "retire-source" || step === "release" ? "confirming" : "post-migrating";
}
