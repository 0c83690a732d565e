/**
 * Nova's words for "not now": what was asked, of which server, and the state that forbids it. Nova looks at the
 * vm_state first, and names the task_state only of a server whose vm_state would do.
 */

import { Fault } from "../../proto/fault.js";
import type { ServerRecord } from "../store/servers.js";

/** `fit`: the vm_states in which it may be asked; all when absent. */
export function conflictOf(
  action: string,
  server: ServerRecord | undefined,
  id: string,
  fit?: readonly string[],
): Fault {
  if (server === undefined) return new Fault("not-found", `Instance ${id} could not be found.`);
  const task = server.taskState || (server.deleteAsked ? "deleting" : "");
  const isFit = fit?.includes(server.vmState) ?? true;
  const [kind, state] = isFit && task !== "" ? ["task_state", task] : ["vm_state", server.vmState];
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
