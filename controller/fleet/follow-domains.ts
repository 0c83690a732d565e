/**
 * Follows what guests do by themselves: a server that its home host reports off is `stopped`, one that runs is
 * `active`. Servers that are being worked on, or stand in their verify window, keep the state that the work gave them.
 */

import type { DomainReport, HeartbeatRequest } from "../../proto/gen/ferry/v1/controller.js";
import type { Queries } from "../store/schema.js";
import { findServerById, type ServerRecord, updateServer } from "../store/servers.js";

const VM_STATES: Record<string, string> = { RUNNING: "active", SHUTDOWN: "stopped" };

export async function followDomains(tx: Queries, report: HeartbeatRequest, nowMs: number): Promise<void> {
  for (const domain of report.domains) {
    const server = await findServerById(tx, domain.serverId);
    if (server === undefined || server.host !== report.host || domain.role !== "active") continue;
    const changes = changesOf(server, domain);
    if (changes !== undefined) await updateServer(tx, server.id, changes, nowMs);
  }
}

function changesOf(server: ServerRecord, { powerState }: DomainReport): Partial<ServerRecord> | undefined {
  if (server.taskState !== "" || server.powerState === powerState) return undefined;
  const settled = server.vmState === "active" || server.vmState === "stopped";
  const vmState = settled ? (VM_STATES[powerState] ?? server.vmState) : server.vmState;
  return { powerState, vmState };
}
