/** Nova's words for "not now": what was asked, of which server, and the state that forbids it. */

import { Fault } from "../../proto/fault.js";
import type { ServerRecord } from "../store/servers.js";

export function conflictOf(action: string, server: ServerRecord | undefined, id: string): Fault {
  if (server === undefined) return new Fault("not-found", `Instance ${id} could not be found.`);
  const [kind, state] =
    server.taskState === "" ? ["vm_state", server.vmState] : ["task_state", server.taskState];
  return new Fault("conflict", `Cannot '${action}' instance ${server.id} while it is in ${kind} ${state}`, {
    fix: fixOf(server),
  });
}

function fixOf({ name, vmState, taskState, migrationId }: ServerRecord): string {
  if (taskState === "" && vmState === "resized")
    return `ferry server confirm ${name}, or ferry server revert ${name}`;
  if (migrationId !== "") return `ferry migration show ${migrationId}`;
  return taskState === "" ? `ferry server show ${name}` : "wait until that has ended";
}
