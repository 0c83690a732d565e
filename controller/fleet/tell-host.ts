/** Writes what happens to a host for whoever follows it, under Nova's names for its services. */

import { knownHost } from "../store/hosts.js";
import { insertNotification } from "../store/notifications.js";
import type { Queries } from "../store/schema.js";

export interface HostNews {
  readonly type: "service.create" | "service.update";
  readonly message: string;
}

/** The wall clock may have stepped meanwhile. */
export const heardAgain = (silenceMs: number): string =>
  `up: heard again after ${Math.max(0, Math.round(silenceMs / 1000))} s`;

const GENERATION_DIGITS = 12;

/** In the transaction that has changed the host, after its generation was raised. */
export async function tellHost(
  queries: Queries,
  host: string,
  { type, message }: HostNews,
  nowMs: number,
): Promise<void> {
  const { generation } = await knownHost(queries, host);
  await insertNotification(queries, {
    id: `host:${host}/${String(generation).padStart(GENERATION_DIGITS, "0")}`,
    owner: "",
    atMs: nowMs,
    type,
    serverId: "",
    serverName: "",
    project: "",
    serverStatus: "",
    migrationId: "",
    host,
    requestId: "",
    message,
    fault: undefined,
  });
}
