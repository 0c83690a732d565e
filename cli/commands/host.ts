/** `ferry host`: the machines that servers live on. */

import type { Command } from "commander";
import { HostServiceService } from "../../proto/gen/ferry/v1/controller.js";
import { PlacementServiceService } from "../../proto/gen/ferry/v1/placement.js";
import { collect } from "../arguments.js";
import { descriptionFields, hostColumns, hostFields } from "../output/host-view.js";
import { present } from "../present.js";
import type { Runner } from "../runner.js";
import type { Session } from "../session.js";

export function addHostCommands(program: Command, runner: Runner): void {
  const host = program.command("host").description("the machines that servers live on");
  host
    .command("list")
    .description("list hosts with what is booked on them")
    .addHelpText("after", "\nExamples:\n  ferry host list\n  ferry host list -o json\n")
    .action(
      runner.online(async session => {
        const { hosts } = await session.call(HostServiceService.listHosts, {});
        session.output.list(hosts, hostColumns(session.shell.now()));
      }),
    );
  host
    .command("show")
    .description("describe a host: its agent is asked now")
    .argument("<host>", "name of the host")
    .addHelpText("after", "\nExample:\n  ferry host show h1\n")
    .action(runner.online((session, _options, name = "") => show(session, name)));
  addSet(host, runner);
  addSwitch(host, runner, true);
  addSwitch(host, runner, false);
}

async function show(session: Session, name: string): Promise<void> {
  const answer = await session.call(HostServiceService.showHost, { name });
  const fields = hostFields(present(answer.host, "a host"), session.shell.now());
  const described = answer.description === undefined ? [] : descriptionFields(answer.description);
  session.output.record(answer, [...fields, ...described]);
}

interface SetOptions {
  readonly trait?: readonly string[];
  readonly unsetTrait?: readonly string[];
  readonly zone?: string;
  readonly forceDown?: boolean;
}

const SET_HELP = `
A host is in the zone of its aggregate. --zone puts it into the aggregate that is named like the zone, and makes that
if there is none; --zone "" takes it out of its zone.

A host that is forced down counts as one whose agent is not heard, until --no-force-down: it is given no server, and nothing
of it is moved or confirmed. Nothing is started elsewhere by it; for a host that is dead see ferry migration recover --fenced-host.

Examples:
  ferry host set h1 --zone east
  ferry host set h1 --trait CUSTOM_GOLD --unset-trait CUSTOM_SILVER
  ferry host set h1 --force-down
`;

function addSet(host: Command, runner: Runner): void {
  host
    .command("set")
    .description("say where a host is and what it can do")
    .argument("<host>", "name of the host")
    .option("--trait <trait>", "it has this trait, e.g. CUSTOM_GOLD; may be repeated", collect)
    .option("--unset-trait <trait>", "it has this trait no more; may be repeated", collect)
    .option("--zone <zone>", "its availability zone")
    .option("--force-down", "take it for down, whatever its agent says")
    .option("--no-force-down", "believe its agent again")
    .addHelpText("after", SET_HELP)
    .action(
      runner.online(async (session, { trait, unsetTrait, zone, forceDown }: SetOptions, name = "") => {
        if (forceDown !== undefined)
          await session.call(HostServiceService.forceHostDown, { name, forcedDown: forceDown });
        const request = {
          host: name,
          addTraits: [...(trait ?? [])],
          removeTraits: [...(unsetTrait ?? [])],
          availabilityZone: zone,
        };
        const answer = await session.call(PlacementServiceService.setHostPlacement, request);
        const changed = present(answer.host, "a host");
        session.output.record(changed, hostFields(changed, session.shell.now()));
      }),
    );
}

function addSwitch(host: Command, runner: Runner, enabled: boolean): void {
  const word = enabled ? "enable" : "disable";
  const command = host
    .command(word)
    .description(enabled ? "let servers be placed on a host again" : "place no more servers on a host")
    .argument("<host>", "name of the host");
  if (!enabled) command.option("--reason <text>", "why, for whoever asks later", "");
  command
    .addHelpText(
      "after",
      `\nExample:\n  ferry host ${word} h1${enabled ? "" : ' --reason "memory replacement"'}\n`,
    )
    .action(
      runner.online(async (session, { reason = "" }: { readonly reason?: string }, name = "") => {
        const { host: changed } = await session.call(HostServiceService.setHostStatus, {
          name,
          enabled,
          reason,
        });
        session.output.record(
          present(changed, "a host"),
          hostFields(present(changed, "a host"), session.shell.now()),
        );
      }),
    );
}
