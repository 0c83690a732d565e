/** `ferry server adopt`: takes over a libvirt domain that exists already. */

import { type Command, Option } from "commander";
import { FAULTS, isFaultCode } from "../../proto/fault.js";
import { type AdoptServerResponse, ServerServiceService } from "../../proto/gen/ferry/v1/controller.js";
import { collect } from "../arguments.js";
import { renderDetail } from "../output/failure.js";
import { printable } from "../output/printable.js";
import { serverFields } from "../output/server-view.js";
import type { Runner } from "../runner.js";
import type { Session } from "../session.js";
import { addNewServerOptions, type NewServerOptions, newServerRequest } from "./new-server.js";

const ADOPT_MS = 120_000;

interface AdoptOptions extends NewServerOptions {
  readonly host: string;
  readonly swapDisk?: readonly string[];
  readonly ephemeralDisk?: readonly string[];
  readonly readOnlyDrives: string;
  readonly dryRun?: boolean;
}

const HELP = `
The guest may run; nothing about it changes. Swap disks are not copied when the server moves, so only those that you
name are treated as swap: look at the suggestions of --dry-run first.

Examples:
  ferry server adopt web-3 --host h1 --dry-run
  ferry server adopt web-3 --host h1 --swap-disk vdc --ephemeral-disk vdb
`;

export function addAdopt(server: Command, runner: Runner): void {
  const command = server
    .command("adopt")
    .description("manage a libvirt domain that exists already")
    .argument("<domain>", "libvirt's name or uuid of it")
    .requiredOption("--host <host>", "where it is")
    .option("--swap-disk <dev>", "this disk is swap, e.g. vdc; may be repeated", collect)
    .option("--ephemeral-disk <dev>", "this disk is ephemeral, e.g. vdb; may be repeated", collect)
    .addOption(readOnlyDrivesOption())
    .option("--dry-run", "only say what would be found and refused");
  addNewServerOptions(command)
    .addHelpText("after", HELP)
    .action(
      runner.online(async (session, options: AdoptOptions, domain = "") => {
        const request = {
          host: options.host,
          domain,
          swapDisks: [...(options.swapDisk ?? [])],
          ephemeralDisks: [...(options.ephemeralDisk ?? [])],
          dryRun: options.dryRun ?? false,
          readOnlyDrives: options.readOnlyDrives,
          ...newServerRequest(options),
        };
        const answer = await session.change(ServerServiceService.adoptServer, request, ADOPT_MS);
        if (session.output.format === "json") session.output.json(answer);
        else printAnswer(session, answer);
        return exitCodeOf(answer);
      }),
    );
}

export const readOnlyDrivesOption = (): Option =>
  new Option(
    "--read-only-drives <what>",
    "CD-ROMs and read-only drives with a medium: refuse, or carry them along",
  )
    .choices(["refuse", "carry"])
    .default("refuse");

function printAnswer(
  { output, shell }: Session,
  { server, suggestions, refusals }: AdoptServerResponse,
): void {
  if (server !== undefined) output.record(server, serverFields(server));
  for (const suggestion of suggestions) shell.write(`suggestion: ${printable(suggestion)}\n`);
  for (const refusal of refusals)
    shell.writeError(`refused: ${printable(refusal.message)}\n${renderDetail(refusal)}`);
}

/** That of the first refusal: a dry run that would be refused says so to scripts too. */
function exitCodeOf({ refusals: [first] }: AdoptServerResponse): number {
  if (first === undefined) return 0;
  return isFaultCode(first.code) ? FAULTS[first.code].exit : FAULTS.refused.exit;
}
