/** `ferry server events`, `lock`, `unlock` and `reset-state`: what was asked of a server, and what is said of it. */

import { type Command, Option } from "commander";
import { ServerServiceService } from "../../proto/gen/ferry/v1/controller.js";
import type { ServerAction } from "../../proto/gen/ferry/v1/model.js";
import { printable } from "../output/printable.js";
import type { Column } from "../output/table.js";
import { formatDuration, formatTime } from "../output/units.js";
import type { Runner } from "../runner.js";

/** One line per event; an action without events has one. */
interface EventLine {
  readonly action: ServerAction;
  readonly index: number;
}

const COLUMNS: readonly Column<EventLine>[] = [
  { title: "Request ID", value: ({ action, index }) => (index === 0 ? action.requestId : "") },
  { title: "Action", value: ({ action, index }) => (index === 0 ? action.action : "") },
  { title: "Asked by", value: ({ action, index }) => (index === 0 ? action.requestedBy : "") },
  { title: "Started", value: line => formatTime(eventOf(line)?.startedAtMs ?? line.action.startedAtMs) },
  { title: "Event", value: line => eventOf(line)?.event ?? "-" },
  { title: "Host", value: line => eventOf(line)?.host || "-" },
  { title: "Took", value: line => duration(line), right: true },
  { title: "Result", value: line => eventOf(line)?.details || eventOf(line)?.result || "-" },
];

const eventOf = ({ action, index }: EventLine) => action.events[index];

function duration(line: EventLine): string {
  const event = eventOf(line);
  return event === undefined || event.finishedAtMs === 0
    ? "-"
    : formatDuration(event.finishedAtMs - event.startedAtMs);
}

const linesOf = (action: ServerAction): EventLine[] =>
  Array.from({ length: Math.max(1, action.events.length) }, (_, index) => ({ action, index }));

export function addEvents(server: Command, runner: Runner): void {
  server
    .command("events")
    .description("what was asked of a server, by whom, and how it went; newest first")
    .argument("<server>", "name or id; a server that is gone by its id")
    .addHelpText("after", "\nExample:\n  ferry server events web-3\n")
    .action(
      runner.online(async (session, _options, name = "") => {
        const request = { server: name, requestId: "" };
        const { actions } = await session.call(ServerServiceService.listServerActions, request);
        if (session.output.format === "json") session.output.json(actions);
        else session.output.list(actions.flatMap(linesOf), COLUMNS);
      }),
    );
}

export function addLocks(server: Command, runner: Runner): void {
  server
    .command("lock")
    .description("let nobody but administrators touch a server")
    .argument("<server>", "name or id")
    .option("--reason <text>", "why, for who meets the lock", "")
    .addHelpText("after", "\nExample:\n  ferry server lock db-1 --reason 'backup until 22:00'\n")
    .action(
      runner.online(async (session, { reason }: { readonly reason: string }, name = "") => {
        await session.change(ServerServiceService.lockServer, { server: name, reason });
        session.output.say(`${printable(name)} is locked`);
      }),
    );
  server
    .command("unlock")
    .description("take a lock off a server; an administrator's lock only as administrator")
    .argument("<server>", "name or id")
    .addHelpText("after", "\nExample:\n  ferry server unlock db-1\n")
    .action(
      runner.online(async (session, _options, name = "") => {
        await session.change(ServerServiceService.unlockServer, { server: name });
        session.output.say(`${printable(name)} is not locked`);
      }),
    );
}

const RESET_HELP = `
Changes what is said of the server and nothing else: no guest is started or stopped, no host is asked, and a source that
is fenced stays fenced. A migration that awaits its verdict can still be confirmed or reverted.

Example:
  ferry server reset-state web-3 --state active
`;

export function addResetState(server: Command, runner: Runner): void {
  server
    .command("reset-state")
    .description("declare a server active or in error")
    .argument("<server>", "name or id")
    .addOption(new Option("--state <state>", "what it is").choices(["active", "error"]).default("error"))
    .addHelpText("after", RESET_HELP)
    .action(
      runner.online(async (session, { state }: { readonly state: string }, name = "") => {
        await session.change(ServerServiceService.resetServerState, { server: name, state });
        session.output.say(`${printable(name)} is declared ${state}`);
      }),
    );
}
