/** Follows one migration: the present state at once, then each event, and progress in between, until it rests. */

import { Fault } from "../../proto/fault.js";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import type { Clock } from "../clock.js";
import { eventsAfter } from "../store/events.js";
import { findMigration, type MigrationRecord, migrationMessage } from "../store/migrations.js";
import type { Queries } from "../store/schema.js";
import type { Changes } from "./changes.js";
import { placesInQueue } from "./turns.js";

export interface MigrationChange {
  readonly migration: Migration;
  /** One line of the story, or empty for progress only. */
  readonly event: string;
  readonly atMs: number;
}

interface Watched {
  readonly queries: Queries;
  readonly changes: Changes;
  readonly clock: Clock;
}

interface Options {
  readonly signal: AbortSignal;
  /** Through the verify window, until the migration has ended. */
  readonly untilEnded: boolean;
}

export async function* watchMigration(
  { queries, changes, clock }: Watched,
  id: string,
  { signal, untilEnded }: Options,
): AsyncGenerator<MigrationChange> {
  let seen: number | undefined;
  while (!signal.aborted) {
    const changed = changes.next(id);
    const record = await findMigration(queries, id);
    if (record === undefined) throw new Fault("not-found", `Migration ${id} could not be found.`);
    const events = await eventsAfter(queries, id, seen ?? 0);
    const migration = migrationMessage(record, (await placesInQueue(queries)).get(id));
    // A watcher who comes late sees where things stand, not everything that led there.
    const told = seen === undefined ? events.slice(-1) : events;
    for (const { text, atMs } of told) yield { migration, event: text, atMs };
    if (told.length === 0) yield { migration, event: "", atMs: clock.nowMs() };
    seen = events.at(-1)?.seq ?? seen ?? 0;
    if (isResting(record, untilEnded)) return;
    await Promise.race([changed, aborted(signal)]);
  }
}

const isResting = ({ endedAtMs, stuck, status }: MigrationRecord, untilEnded: boolean): boolean =>
  endedAtMs > 0 || stuck || (status === "finished" && !untilEnded);

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
