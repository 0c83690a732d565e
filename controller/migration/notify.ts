/**
 * Writes what happens to a server for whoever follows it, in the transaction in which it happens: migrations by the
 * lines of their journal, everything else by the actions that were asked for.
 */

import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { type ActionRecord, latestRequestId } from "../store/actions.js";
import { appendEvent } from "../store/events.js";
import { findMigration } from "../store/migrations.js";
import { insertNotification } from "../store/notifications.js";
import type { Queries } from "../store/schema.js";
import { findServerById, statusOf } from "../store/servers.js";
import type { Notice } from "./notices.js";

const SEQUENCE_DIGITS = 8;
const TIME_DIGITS = 15;

/** One line of a migration's story, and what it is called for others. */
export async function tellMigration(
  queries: Queries,
  migrationId: string,
  { text, notice }: { readonly text: string; readonly notice: Notice | undefined },
  nowMs: number,
): Promise<void> {
  const seq = await appendEvent(queries, migrationId, text, nowMs);
  const migration = notice && (await findMigration(queries, migrationId));
  if (migration === undefined || notice === undefined) return;
  const { serverId, serverName, sourceHost, targetHost } = migration;
  const hosts = { controller: "", source: sourceHost, target: targetHost };
  await insertNotification(queries, {
    id: `${migrationId}/${padded(seq, SEQUENCE_DIGITS)}`,
    atMs: nowMs,
    type: notice.type,
    serverId,
    ...(await subjectOf(queries, serverId, serverName)),
    migrationId,
    host: hosts[notice.side],
    requestId: await latestRequestId(queries, serverId, migrationId),
    message: notice.message,
    fault: notice.fault,
  });
}

/** Something that a person should know. */
export const noteMigration = (
  queries: Queries,
  migrationId: string,
  text: string,
  nowMs: number,
): Promise<void> =>
  tellMigration(
    queries,
    migrationId,
    { text, notice: { type: "migration.note", side: "controller", message: text, fault: undefined } },
    nowMs,
  );

/** Nova's names for what one host does at one go. What is said without a host has one event of its own. */
const NAMES: Readonly<Record<string, string>> = {
  create: "instance.create",
  adopt: "instance.adopt",
  start: "instance.power_on",
  stop: "instance.power_off",
  delete: "instance.delete",
};
const WORDS: Readonly<Record<string, string>> = {
  lock: "instance.lock",
  unlock: "instance.unlock",
  reset_state: "instance.update",
};

/** An action was asked for. That of a migration is told by the migration. */
export async function tellAsked(
  queries: Queries,
  { serverId, requestId, seq, action, host, migrationId }: Told,
  nowMs: number,
): Promise<void> {
  const name = NAMES[action];
  const type = name === undefined ? WORDS[action] : `${name}.start`;
  if (type === undefined || migrationId !== "") return;
  await tellTask(queries, { serverId, requestId, seq, host, type, phase: 0, fault: undefined }, nowMs);
}

/** It has ended: well, or with a fault. */
export async function tellEnded(
  queries: Queries,
  { serverId, requestId, seq, action, host }: Told,
  nowMs: number,
  fault?: FaultInfo,
): Promise<void> {
  const name = NAMES[action];
  if (name === undefined) return;
  const type = `${name}.${fault === undefined ? "end" : "error"}`;
  await tellTask(queries, { serverId, requestId, seq, host, type, phase: 1, fault }, nowMs);
}

interface Told extends Pick<ActionRecord, "serverId" | "requestId" | "action" | "host" | "migrationId"> {
  /** Of the action, among those of its server. */
  readonly seq: number;
}

interface TaskEvent extends Pick<ActionRecord, "serverId" | "requestId" | "host" | "fault"> {
  readonly type: string;
  readonly seq: number;
  readonly phase: number;
}

async function tellTask(
  queries: Queries,
  { serverId, requestId, seq, host, type, phase, fault }: TaskEvent,
  nowMs: number,
): Promise<void> {
  const place = [padded(nowMs, TIME_DIGITS), padded(seq, SEQUENCE_DIGITS), phase].join("-");
  await insertNotification(queries, {
    id: `${serverId}/${place}`,
    atMs: nowMs,
    type,
    serverId,
    ...(await subjectOf(queries, serverId, "")),
    migrationId: "",
    host,
    requestId,
    message: "",
    fault,
  });
}

/** So that ids sort as numbers do. */
const padded = (number: number, digits: number): string => String(number).padStart(digits, "0");

async function subjectOf(queries: Queries, serverId: string, name: string) {
  const server = await findServerById(queries, serverId);
  return {
    serverName: server?.name ?? name,
    owner: server?.owner ?? "",
    project: server?.project ?? "",
    serverStatus: server === undefined ? "" : statusOf(server.vmState, server.taskState),
  };
}
