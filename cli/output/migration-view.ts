/** Migrations, their steps and their receipts, as tables. */

import type {
  CopiedFile,
  DiskChange,
  Migration,
  ServerAction,
  StepRecord,
  TargetRefusal,
} from "../../proto/gen/ferry/v1/model.js";
import { flavorSummary } from "./flavor-view.js";
import { renderCopied } from "./progress.js";
import type { Column, Field } from "./table.js";
import { formatAge, formatBytes, formatDuration, formatTime } from "./units.js";

export const migrationColumns = (now: Date): Column<Migration>[] => [
  { title: "ID", value: ({ id }) => id },
  { title: "Server", value: ({ serverName }) => serverName },
  { title: "Type", value: ({ type }) => type },
  { title: "Status", value: standingOf },
  { title: "Source", value: ({ sourceHost }) => sourceHost },
  { title: "Target", value: ({ targetHost }) => targetHost || "-" },
  { title: "Step", value: ({ step, direction }) => (direction === "unwinding" ? `unwinding ${step}` : step) },
  { title: "Old Flavor", value: ({ oldFlavor }) => oldFlavor?.name ?? "-" },
  { title: "New Flavor", value: ({ newFlavor }) => newFlavor?.name ?? "-" },
  { title: "Created", value: ({ createdAtMs }) => formatAge(createdAtMs, now) },
  { title: "Updated", value: ({ updatedAtMs }) => formatAge(updatedAtMs, now) },
];

/** Those that wait for their turn say where in the queue they are. */
function standingOf({ status, queuePosition }: Migration): string {
  return queuePosition === 0 ? status : `${status}, ${queuePosition}. in the queue`;
}

export function migrationFields(migration: Migration): Field[] {
  const { fault } = migration;
  return [
    ["id", migration.id],
    ["server", `${migration.serverName} (${migration.serverId})`],
    ["type", migration.type],
    ...(migration.type === "resize" ? flavorFields(migration) : []),
    ["status", standingOf(migration)],
    ["source", migration.sourceHost],
    ["target", migration.targetHost],
    ["step", migration.step],
    ["direction", migration.direction],
    ["copied", renderCopied(migration.progress)],
    ["fault", fault?.message ?? ""],
    ["have", fault?.have ?? ""],
    ["need", fault?.need ?? ""],
    ["fix", fault?.fix ?? ""],
    ["downtime", migration.downtimeMs === 0 ? "" : formatDuration(migration.downtimeMs)],
    ...migration.refusals.map((refusal): Field => ["refused by", renderRefusal(refusal)]),
    ...migration.notes.map((note): Field => ["note", note]),
    ["confirmed by itself", formatTime(migration.autoConfirmAtMs)],
    ["requested by", migration.requestedBy],
    ...migration.actions.flatMap(decisionField),
    ["epoch", String(migration.epoch)],
    ["created", formatTime(migration.createdAtMs)],
    ["updated", formatTime(migration.updatedAtMs)],
    ["ended", formatTime(migration.endedAtMs)],
  ];
}

const DECISIONS: Readonly<Record<string, string>> = {
  cancelMigration: "cancelled by",
  recoverMigration: "recovered by",
  confirmResize: "confirmed by",
  revertResize: "reverted by",
  setMigration: "set by",
};

/** `set by`: `user/ada, 2026-11-28 06:00:00 UTC: priority 2`. That it was asked for at all is said already. */
function decisionField({ action, requestedBy, startedAtMs, message }: ServerAction): Field[] {
  const title = DECISIONS[action];
  const what = message === "" ? "" : `: ${message}`;
  return title === undefined ? [] : [[title, `${requestedBy}, ${formatTime(startedAtMs)}${what}`]];
}

/** `h2: another domain on the target has this name (have: …; fix: …)` */
function renderRefusal({ host, fault }: TargetRefusal): string {
  const { message = "", have = "", need = "", fix = "" } = fault ?? {};
  const detail = Object.entries({ have, need, fix }).flatMap(([word, text]) =>
    text ? `${word}: ${text}` : [],
  );
  return `${host}: ${message}${detail.length === 0 ? "" : ` (${detail.join("; ")})`}`;
}

const flavorFields = ({ oldFlavor, newFlavor }: Migration): Field[] => [
  ["old flavor", oldFlavor === undefined ? "" : flavorSummary(oldFlavor)],
  ["new flavor", newFlavor === undefined ? "" : flavorSummary(newFlavor)],
];

export const STEP_COLUMNS: readonly Column<StepRecord>[] = [
  { title: "Step", value: ({ name }) => name },
  { title: "State", value: ({ state }) => state },
  { title: "Began", value: ({ startedAtMs }) => formatTime(startedAtMs) },
  { title: "Took", value: stepDuration, right: true },
  { title: "Note", value: ({ note }) => note },
];

export const RECEIPT_COLUMNS: readonly Column<CopiedFile>[] = [
  { title: "File", value: ({ id }) => id },
  { title: "Mode", value: ({ mode }) => mode },
  { title: "Size", value: ({ sizeBytes }) => formatBytes(sizeBytes), right: true },
  { title: "Data", value: ({ dataBytes }) => formatBytes(dataBytes), right: true },
  {
    title: "Digest",
    // Swap is known by its UUID instead.
    value: ({ algorithm, digest }) => (algorithm === "" ? digest : `${algorithm}:${digest.slice(0, 16)}…`),
  },
  { title: "Read back", value: ({ readBack }) => readBack },
];

/** One transformation of one copied file. */
interface ChangeLine {
  readonly fileId: string;
  readonly change: DiskChange;
}

export const changeLines = ({ receipt }: Migration): ChangeLine[] =>
  receipt.flatMap(({ id, changes }) => changes.map(change => ({ fileId: id, change })));

export const CHANGE_COLUMNS: readonly Column<ChangeLine>[] = [
  { title: "File", value: ({ fileId }) => fileId },
  { title: "Changed by", value: ({ change: { tool, version } }) => `${tool} ${version}`.trim() },
  { title: "Before", value: ({ change }) => formatBytes(change.sizeBeforeBytes), right: true },
  { title: "After", value: ({ change }) => formatBytes(change.sizeAfterBytes), right: true },
  { title: "What holds", value: ({ change }) => change.holds },
];

function stepDuration({ startedAtMs, endedAtMs }: StepRecord): string {
  return startedAtMs === 0 || endedAtMs === 0 ? "" : formatDuration(endedAtMs - startedAtMs);
}
