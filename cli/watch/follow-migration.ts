/**
 * Every message about a migration until it rests, across lost connections and restarts of the controller.
 *
 * A watch that breaks is begun again: the controller then tells the present state first, and what was told before
 * is not told twice. Nothing here changes the migration; it goes on whether it is watched or not.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { asFault, Fault } from "../../proto/fault.js";
import { MigrationServiceService, type WatchMigrationResponse } from "../../proto/gen/ferry/v1/controller.js";
import type { Session } from "../session.js";
import { isAtRest } from "./outcome.js";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;
/** A controller that is away for longer needs a person; the migration goes on without it or waits for it. */
const PATIENCE_MS = 300_000;

export interface FollowOptions {
  readonly id: string;
  /** Through the verify window, until confirmed, reverted or failed. */
  readonly untilEnded: boolean;
  /** The connection was lost and will be tried again; told once per loss. */
  readonly onLost: (fault: Fault) => void;
  readonly patienceMs?: number;
}

export async function* followMigration(
  session: Pick<Session, "stream" | "shell">,
  { id, untilEnded, onLost, patienceMs = PATIENCE_MS }: FollowOptions,
): AsyncGenerator<WatchMigrationResponse, void, undefined> {
  const told = new Set<string>();
  let known = "";
  let lostAtMs: number | undefined;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    let fault: Fault;
    try {
      for await (const message of session.stream(MigrationServiceService.watchMigration, {
        id,
        untilEnded,
      })) {
        const state = JSON.stringify(message.migration);
        // A watch that always breaks after repeating what is known has not recovered.
        if (state !== known) {
          known = state;
          lostAtMs = undefined;
          pauseMs = FIRST_PAUSE_MS;
        }
        yield withoutRepetition(message, told);
        if (message.migration !== undefined && isAtRest(message.migration, untilEnded)) return;
      }
      fault = new Fault("unreachable", "the controller ended the watch");
    } catch (error) {
      fault = asFault(error);
      if (!fault.isUnknown) throw fault;
    }
    const nowMs = session.shell.now().getTime();
    if (lostAtMs === undefined) onLost(fault);
    lostAtMs ??= nowMs;
    if (nowMs - lostAtMs >= patienceMs) throw fault;
    await pause(pauseMs, session.shell.interrupted);
  }
}

/** The same event at the same instant is the same line of the story. */
function withoutRepetition(message: WatchMigrationResponse, told: Set<string>): WatchMigrationResponse {
  const line = `${message.atMs} ${message.event}`;
  if (message.event === "" || !told.has(line)) {
    told.add(line);
    return message;
  }
  return { ...message, event: "" };
}

async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(durationMs, undefined, { signal });
  } catch {
    throw new Fault("cancelled", "interrupted");
  }
}
