/** `--wait` and `--watch`: stays until a migration rests, and turns how it went into an exit code. */

import type { Command } from "commander";
import { asFault } from "../../proto/fault.js";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { StoryDisplay } from "../output/story-display.js";
import type { Session } from "../session.js";
import { INTERRUPTED_EXIT } from "../shell.js";
import { followMigration } from "./follow-migration.js";
import { describeOutcome, exitCodeOf, type Wanted } from "./outcome.js";

export interface WaitOptions {
  readonly wait?: boolean;
  readonly watch?: boolean;
}

export function addWaitOptions(command: Command): Command {
  return command
    .option("--wait", "return when it is over; the exit code tells how it went")
    .option("--watch", "like --wait, and show what happens meanwhile");
}

export interface Awaited {
  readonly migration: Migration;
  readonly wanted: Wanted;
  readonly untilEnded: boolean;
}

/** Answers the exit code. With `-o json`, `--watch` prints one JSON object per line and `--wait` the last state. */
export async function awaitMigration(
  session: Session,
  { migration, wanted, untilEnded }: Awaited,
  watch: boolean,
): Promise<number> {
  const { shell, output } = session;
  const json = output.format === "json";
  const display = new StoryDisplay(shell);
  const show = watch && !json;
  let last = migration;
  try {
    const onLost = () =>
      shell.writeError("ferry: the connection is lost; the migration goes on; trying again\n");
    for await (const message of followMigration(session, { id: migration.id, untilEnded, onLost })) {
      last = message.migration ?? last;
      if (show) display.show(message);
      else if (watch) shell.write(`${JSON.stringify(message)}\n`);
    }
  } catch (error) {
    if (!shell.interrupted.aborted && !asFault(error).isUnknown) throw error;
    display.clear();
    shell.writeError(leftRunning(migration.id));
    if (shell.interrupted.aborted) return INTERRUPTED_EXIT;
    throw error;
  } finally {
    display.clear();
  }
  const code = exitCodeOf(last, wanted);
  const say = (text: string) => (code === 0 ? shell.write(text) : shell.writeError(text));
  if (!json) say(describeOutcome(last));
  else if (!watch) output.json(last);
  return code;
}

const leftRunning = (id: string): string =>
  `The migration goes on without this command. ferry migration watch ${id} shows it, ferry migration cancel ${id} stops it.\n`;
