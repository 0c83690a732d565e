/** Events as a table, and as lines while they are followed. */

import type { Event } from "../../proto/gen/ferry/v1/event.js";
import type { Column } from "./table.js";
import { formatTime } from "./units.js";

export const EVENT_COLUMNS: readonly Column<Event>[] = [
  { title: "Number", value: ({ number }) => String(number), right: true },
  { title: "Time", value: ({ atMs }) => formatTime(atMs) },
  { title: "Event", value: ({ type }) => type },
  { title: "Server", value: ({ serverName, serverId }) => serverName || serverId || "-" },
  { title: "Status", value: ({ serverStatus }) => serverStatus || "-" },
  { title: "Host", value: ({ host }) => host || "-" },
  { title: "Request", value: ({ requestId }) => requestId || "-" },
  { title: "Message", value: saying },
];

/** `4711  2026-01-01 …  instance.resize.end  web-3 on h1 (RESIZE)` */
export function eventLine(event: Event): string {
  const { number, atMs, type, serverName, serverStatus, host } = event;
  const where = host === "" ? "" : `on ${host}`;
  const status = serverStatus === "" ? "" : `(${serverStatus})`;
  const words = [String(number), formatTime(atMs), type, serverName, where, status, saying(event)];
  return words.filter(word => word !== "").join("  ");
}

function saying({ message, fault }: Event): string {
  return [message, fault?.message ?? ""].filter(text => text !== "").join(": ");
}
