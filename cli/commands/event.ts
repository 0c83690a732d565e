/** `ferry event`: what happened to servers, migrations and hosts, and what happens now. */

import type { Command } from "commander";
import { type EventFilter, EventServiceService } from "../../proto/gen/ferry/v1/event.js";
import { positiveInteger, wholeNumber } from "../arguments.js";
import { EVENT_COLUMNS, eventLine } from "../output/event-view.js";
import type { Runner } from "../runner.js";
import type { Session } from "../session.js";
import { INTERRUPTED_EXIT } from "../shell.js";
import { followEvents } from "../watch/follow-events.js";

const LIST_HELP = `
Events have the names of Nova's versioned notifications: instance.resize_prep.start, instance.resize_confirm.end,
instance.power_on.error, service.update; what Nova has no name for begins with "migration.".

Examples:
  ferry event list --server web-3
  ferry event list --type instance.resize --limit 20
`;

const WATCH_HELP = `
Prints one line per event, with -o json one object per line, until it is interrupted. Every event has a number: --after
goes on behind the last one that was seen, across restarts of either side, and says when some of those between are not
kept any more.

Examples:
  ferry event watch
  ferry event watch --migration 7
  ferry event watch --after 4711 -o json
`;

export function addEventCommands(program: Command, runner: Runner): void {
  const event = program.command("event").description("what happens to servers, migrations and hosts");
  addFilters(event.command("list").description("list the events that are kept, oldest first"))
    .option("--after <number>", "only those after this one, oldest first", wholeNumber, 0)
    .option("--limit <number>", "at most so many; without --after the newest", positiveInteger, 100)
    .addHelpText("after", LIST_HELP)
    .action(
      runner.online(async (session, { after, limit, ...filter }: ListOptions) => {
        const answer = await session.call(EventServiceService.listEvents, { filter, after, limit });
        session.output.list(answer.events, EVENT_COLUMNS);
        sayLost(session, answer.lost);
      }),
    );
  addFilters(event.command("watch").description("follow events as they happen"))
    .option(
      "--after <number>",
      "begin with the one after this; default: with what happens from now on",
      wholeNumber,
    )
    .addHelpText("after", WATCH_HELP)
    .action(
      runner.online(async (session, { after, ...filter }: WatchOptions) => {
        const { shell, output } = session;
        const isJson = output.format === "json";
        const onLost = () => shell.writeError("ferry: the connection is lost; trying again\n");
        for await (const { event: seen, lost } of followEvents(session, { filter, after, onLost })) {
          sayLost(session, lost);
          if (seen !== undefined) shell.write(`${isJson ? JSON.stringify(seen) : eventLine(seen)}\n`);
        }
        return INTERRUPTED_EXIT;
      }),
    );
}

interface ListOptions extends EventFilter {
  readonly after: number;
  readonly limit: number;
}

interface WatchOptions extends EventFilter {
  readonly after?: number;
}

function sayLost({ shell }: Session, lost: number): void {
  if (lost > 0) shell.writeError(`ferry: ${lost} events after that number are not kept any more\n`);
}

const addFilters = (command: Command): Command =>
  command
    .option("--server <server>", "only of this server", "")
    .option("--migration <id>", "only of this migration", "")
    .option("--host <host>", "only what happened on this host", "")
    .option("--type <name>", "only those whose name begins so", "");
