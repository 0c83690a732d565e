/** Servers, their disks, and what the hosts say to a move, as tables. */

import type { Disk, HostVerdict, Server } from "../../proto/gen/ferry/v1/model.js";
import { flavorSummary } from "./flavor-view.js";
import { pairs } from "./pairs.js";
import type { Column, Field } from "./table.js";
import { formatBytes, formatDuration, formatTime } from "./units.js";

export const SERVER_COLUMNS: readonly Column<Server>[] = [
  { title: "ID", value: ({ id }) => id },
  { title: "Name", value: ({ name }) => name },
  { title: "Status", value: ({ status }) => status },
  { title: "Task State", value: ({ taskState }) => taskState || "-" },
  { title: "Power State", value: ({ powerState }) => powerState },
  { title: "Host", value: ({ host }) => host },
  { title: "Flavor", value: ({ flavor }) => flavor?.name ?? "-" },
];

export function serverFields(server: Server): Field[] {
  return [
    ["id", server.id],
    ["name", server.name],
    ["status", server.status],
    ["host", server.host],
    ["flavor", server.flavor === undefined ? "" : flavorSummary(server.flavor)],
    ["vm_state", server.vmState],
    ["task_state", server.taskState],
    ["power_state", server.powerState],
    ["fault", server.fault?.message ?? ""],
    ["migration", server.migrationId],
    ["availability zone", zoneText(server)],
    ...hintFields(server),
    ["image", server.image],
    ["image properties", pairs(server.imageProperties)],
    ...server.disks.map(diskField),
    ...server.interfaces.map(({ mac, type, source }): Field => ["interface", `${mac} on ${type} ${source}`]),
    [
      "longest downtime",
      server.maxDowntimeSeconds === 0 ? "" : formatDuration(server.maxDowntimeSeconds * 1000),
    ],
    ["owner", server.owner],
    ["project", server.project],
    [
      "locked",
      server.lockedBy && [`by its ${server.lockedBy}`, server.lockedReason].filter(Boolean).join(": "),
    ],
    ["epoch", String(server.epoch)],
    ["created", formatTime(server.createdAtMs)],
    ["updated", formatTime(server.updatedAtMs)],
  ];
}

function zoneText({ availabilityZone, pinnedAvailabilityZone }: Server): string {
  return pinnedAvailabilityZone === "" ? availabilityZone : `${availabilityZone} (kept: it was asked for)`;
}

function hintFields({ schedulerHints: hints }: Server): Field[] {
  if (hints === undefined) return [];
  return [
    ["server group", hints.group],
    ["same host as", hints.sameHost.join(", ")],
    ["other host than", hints.differentHost.join(", ")],
  ];
}

function diskField(disk: Disk): Field {
  const size = `${formatBytes(disk.virtualSizeBytes)}, ${formatBytes(disk.allocatedBytes)} used`;
  const below = disk.backing.map(({ path }) => ` on ${path}`).join("");
  const extra = [disk.format, disk.mode, disk.readOnly ? "read-only" : ""]
    .filter(text => text !== "")
    .join(", ");
  return [`disk ${disk.targetDev} (${disk.role})`, `${disk.path}${below}; ${size}; ${extra}`];
}

/** One line per reason: a host that is refused twice has two. */
interface VerdictLine {
  readonly verdict: HostVerdict;
  readonly index: number;
}

export const verdictLines = (verdicts: readonly HostVerdict[]): VerdictLine[] =>
  verdicts.flatMap(verdict =>
    (verdict.reasons.length === 0 ? [{}] : verdict.reasons).map((_, index) => ({ verdict, index })),
  );

const reasonOf = ({ verdict, index }: VerdictLine) => verdict.reasons[index];
const first = ({ index }: VerdictLine, text: string) => (index === 0 ? text : "");

export const VERDICT_COLUMNS: readonly Column<VerdictLine>[] = [
  { title: "Host", value: line => first(line, line.verdict.host) },
  { title: "Possible", value: line => first(line, line.verdict.ok ? "yes" : "no") },
  {
    title: "Weight",
    value: line => first(line, line.verdict.ok ? line.verdict.weight.toFixed(2) : "-"),
    right: true,
  },
  { title: "Filter", value: line => line.verdict.refusedBy[line.index] ?? "" },
  { title: "Reason", value: line => reasonOf(line)?.message ?? "" },
  { title: "Have", value: line => reasonOf(line)?.have ?? "" },
  { title: "Need", value: line => reasonOf(line)?.need ?? "" },
  { title: "Fix", value: line => reasonOf(line)?.fix ?? "" },
];
