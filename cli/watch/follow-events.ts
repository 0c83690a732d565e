/**
 * Every event after a number, across lost connections and restarts of the controller: a watch that breaks is begun
 * again behind the last event that was seen, so none is told twice and none is left out.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { asFault } from "../../proto/fault.js";
import {
  type EventFilter,
  EventServiceService,
  type WatchEventsResponse,
} from "../../proto/gen/ferry/v1/event.js";
import type { Session } from "../session.js";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;

export interface FollowEventsOptions {
  readonly filter: EventFilter;
  /** Undefined: only what happens from now on. */
  readonly after: number | undefined;
  /** The connection was lost and will be tried again; told once per loss. */
  readonly onLost: () => void;
}

/** Until the caller is interrupted. */
export async function* followEvents(
  session: Pick<Session, "call" | "stream" | "shell">,
  { filter, after, onLost }: FollowEventsOptions,
): AsyncGenerator<WatchEventsResponse, void, undefined> {
  const { interrupted } = session.shell;
  let seen = after ?? (await newestOf(session, filter));
  let pauseMs = FIRST_PAUSE_MS;
  let isLost = false;
  while (!interrupted.aborted) {
    try {
      for await (const message of session.stream(EventServiceService.watchEvents, { filter, after: seen })) {
        seen = message.event?.number ?? seen;
        [isLost, pauseMs] = [false, FIRST_PAUSE_MS];
        yield message;
      }
    } catch (error) {
      const fault = asFault(error);
      if (interrupted.aborted) return;
      if (!fault.isUnknown) throw fault;
    }
    if (!isLost) onLost();
    isLost = true;
    await sleep(pauseMs, undefined, { signal: interrupted }).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** The last that there is, so that a watch which breaks before it has seen any goes on where it began. */
async function newestOf(session: Pick<Session, "call">, filter: EventFilter): Promise<number> {
  const { events } = await session.call(EventServiceService.listEvents, { filter, after: 0, limit: 1 });
  return events.at(-1)?.number ?? 0;
}
