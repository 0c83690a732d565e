/**
 * What was asked of servers, as Nova's instance actions tell it. An action is recorded in the transaction that decides
 * it, so whatever was refused leaves none. How a migration went is read from its saga's journal, not written twice.
 */

import { fromFaultInfo } from "../../proto/fault-info.js";
import type {
  FaultInfo,
  ServerAction,
  ServerActionEvent,
  TargetRefusal,
} from "../../proto/gen/ferry/v1/model.js";
import { decodeJson, type Entry } from "../saga/journal-line.js";
import { type ActionRecord, endActions, insertAction, listActions, listActionsOn } from "../store/actions.js";
import { findMigration, type MigrationRecord } from "../store/migrations.js";
import { readJournal } from "../store/sagas.js";
import type { Queries } from "../store/schema.js";
import { journalEvents, type StoryEvent } from "./journal-events.js";
import { tellAsked, tellEnded } from "./notify.js";
import type { Requester } from "./requester.js";

type Asked = Pick<ActionRecord, "serverId" | "action"> &
  Partial<Pick<ActionRecord, "migrationId" | "host" | "detail" | "endedAtMs">>;

export async function recordAction(
  queries: Queries,
  { serverId, action, migrationId = "", host = "", detail = "", endedAtMs = 0 }: Asked,
  { by: requestedBy, project, requestId, requestDigest = "" }: Requester,
  nowMs: number,
): Promise<void> {
  const what = { serverId, action, migrationId, host, detail, endedAtMs };
  const asked = { ...what, requestedBy, project, requestId, requestDigest };
  const seq = await insertAction(queries, { ...asked, startedAtMs: nowMs, fault: undefined });
  await tellAsked(queries, { ...asked, seq }, nowMs);
}

/** Something about a migration that goes on was set. */
export const recordSetting = (
  queries: Queries,
  { id: migrationId, serverId }: Pick<MigrationRecord, "id" | "serverId">,
  detail: string,
  requester: Requester,
  nowMs: number,
): Promise<void> =>
  recordAction(queries, { serverId, action: "setMigration", migrationId, detail }, requester, nowMs);

/** What an agent was asked to do for this server is over. */
export async function endAction(
  queries: Queries,
  serverId: string,
  nowMs: number,
  fault?: FaultInfo,
): Promise<void> {
  for (const ended of await endActions(queries, serverId, nowMs, fault))
    await tellEnded(queries, ended, nowMs, fault);
}

/** Newest first; also of a server that is gone. */
export async function actionsOf(queries: Queries, serverId: string): Promise<ServerAction[]> {
  const actions: ServerAction[] = [];
  for (const record of await listActions(queries, serverId)) {
    if (record.migrationId === "") actions.push(taskAction(record));
    else if (WORDS.includes(record.action)) actions.push(eventless(record));
    else actions.push(await migrationAction(queries, record));
  }
  return actions;
}

/** What was asked about one migration, oldest first; its steps tell how it went. */
export async function actionsOn(
  queries: Queries,
  { id, serverId }: Pick<MigrationRecord, "id" | "serverId">,
): Promise<ServerAction[]> {
  return (await listActionsOn(queries, serverId, id)).map(eventless);
}

const eventless = (record: ActionRecord): ServerAction => ({
  ...messageOf(record),
  updatedAtMs: record.startedAtMs,
  message: record.detail,
  events: [],
});

/** What one agent does at one go; Nova's names. Whatever is not here is done by the controller, without an event. */
const TASK_EVENTS: Readonly<Record<string, string>> = {
  create: "compute__do_build_and_run_instance",
  start: "compute_start_instance",
  stop: "compute_stop_instance",
  delete: "compute_terminate_instance",
};

function taskAction(record: ActionRecord): ServerAction {
  const event = TASK_EVENTS[record.action];
  const message = record.fault?.message ?? "";
  return {
    ...messageOf(record),
    updatedAtMs: record.endedAtMs || record.startedAtMs,
    message,
    events:
      event === undefined ? [] : [{ ...timesOf(record), event, host: record.host, ...resultOf(record) }],
  };
}

const timesOf = ({ startedAtMs, endedAtMs }: ActionRecord) => ({ startedAtMs, finishedAtMs: endedAtMs });

function resultOf({ endedAtMs, fault }: ActionRecord): Pick<ServerActionEvent, "result" | "details"> {
  if (endedAtMs === 0) return { result: "", details: "" };
  return fault === undefined
    ? { result: "Success", details: "" }
    : { result: "Error", details: fromFaultInfo(fault).message };
}

async function migrationAction(queries: Queries, record: ActionRecord): Promise<ServerAction> {
  const [migration, lines] = [
    await findMigration(queries, record.migrationId),
    await readJournal(queries, record.migrationId),
  ];
  const entries = lines.map(({ line, atMs }): Entry => ({ line: decodeJson(line), atMs }));
  const verdict = VERDICTS[record.action];
  const told = journalEvents(entries, verdict).map(event => eventMessage(event, migration));
  const events = withRefusals(told, migration?.refusals ?? []);
  const last = events.at(-1);
  const times = events.flatMap(({ startedAtMs, finishedAtMs }) => [startedAtMs, finishedAtMs]);
  return {
    ...messageOf(record),
    updatedAtMs: Math.max(record.startedAtMs, ...times),
    message: last?.result === "Error" ? last.details : "",
    events,
  };
}

/** Nova's for what a target is asked before the guest is stopped. */
const PREPARATION = "compute_prep_resize";

/** Each target that was asked has its own event; those that were passed over come first. */
const withRefusals = (
  events: readonly ServerActionEvent[],
  refusals: readonly TargetRefusal[],
): ServerActionEvent[] =>
  events.flatMap(event => {
    if (event.event !== PREPARATION) return [event];
    const startedAtMs = refusals.at(-1)?.refusedAtMs ?? event.startedAtMs;
    return [...refusals.map(refusalEvent), { ...event, startedAtMs }];
  });

const refusalEvent = ({ host, askedAtMs, refusedAtMs, fault }: TargetRefusal): ServerActionEvent => ({
  event: PREPARATION,
  host,
  startedAtMs: askedAtMs,
  finishedAtMs: refusedAtMs,
  result: "Error",
  details: fault?.message ?? "",
});

/** Said to a migration that goes on: what follows is an event of its move, or of its verdict. */
const WORDS: readonly string[] = ["cancelMigration", "recoverMigration", "setMigration"];

const VERDICTS: Readonly<Record<string, "confirm" | "revert">> = {
  confirmResize: "confirm",
  revertResize: "revert",
};

function eventMessage(
  { event, side, ...rest }: StoryEvent,
  migration: MigrationRecord | undefined,
): ServerActionEvent {
  const hosts = { controller: "", source: migration?.sourceHost, target: migration?.targetHost };
  return { event, host: hosts[side] ?? "", ...rest };
}

const messageOf = ({ requestId, serverId, action, requestedBy, project, ...record }: ActionRecord) => ({
  requestId,
  serverId,
  action,
  requestedBy,
  project,
  migrationId: record.migrationId,
  startedAtMs: record.startedAtMs,
});
