/** `ferry server check`: which hosts could take a server, and what stands in the way of the others. */

import type { Command } from "commander";
import { FAULTS } from "../../proto/fault.js";
import { type HostCheck, ServerServiceService } from "../../proto/gen/ferry/v1/controller.js";
import {
  CHECK_COLUMNS,
  checkLines,
  checkSummary,
  isPossibleLive,
  LIVE_CHECK_COLUMNS,
  REFUSAL_COLUMNS,
} from "../output/check-view.js";
import type { Runner } from "../runner.js";
import type { Session } from "../session.js";
import { readOnlyDrivesOption } from "./server-adopt.js";
import { blockDisksOption, networkMapOption } from "./server-move.js";

/** Base images may have to be read on both sides. */
const CHECK_MS = 300_000;

interface CheckOptions {
  readonly host: string;
  readonly readOnlyDrives: string;
  readonly networkMap?: Readonly<Record<string, string>>;
  readonly blockDisks: string;
  readonly live?: boolean;
}

const CHECK_HELP = `
Asks everything that a migration asks before it stops the guest, and changes nothing. An answer that cannot be had is
"unknown" and counts as a refusal. The exit code is 0 when at least one host could take the server.

Ferry moves servers cold. --live tells what moving it live, with other tools, would stumble over; the exit code is then
about that.

Examples:
  ferry server check web-3
  ferry server check web-3 --host h2 -o json
`;

export function addCheck(server: Command, runner: Runner): void {
  server
    .command("check")
    .description("ask every host whether it could take a server, and why not")
    .argument("<server>", "name or id")
    .option("--host <host>", "ask only this host", "")
    .addOption(readOnlyDrivesOption())
    .addOption(networkMapOption())
    .addOption(blockDisksOption())
    .option("--live", "also say what would stand in the way of moving it while it runs")
    .addHelpText("after", CHECK_HELP)
    .action(runner.online((session, options: CheckOptions, name = "") => check(session, options, name)));
}

async function check(
  session: Session,
  { host, readOnlyDrives, networkMap, blockDisks, live = false }: CheckOptions,
  server: string,
): Promise<number> {
  const request = { server, host, readOnlyDrives, networkMap: { ...networkMap }, blockDisks };
  const answer = await session.call(ServerServiceService.checkServer, request, CHECK_MS);
  const { output } = session;
  if (output.format === "json") output.json(answer);
  else if (answer.refusals.length > 0) output.list(answer.refusals, REFUSAL_COLUMNS);
  else output.list(checkLines(answer.hosts, live), live ? LIVE_CHECK_COLUMNS : CHECK_COLUMNS);
  for (const verdict of answer.hosts) output.say(checkSummary(verdict, live));
  const isPossible = (one: HostCheck) => (live ? isPossibleLive(one) : one.ok);
  return answer.hosts.some(isPossible) ? 0 : FAULTS["no-valid-host"].exit;
}
