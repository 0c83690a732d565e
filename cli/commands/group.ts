/** `ferry group`: servers that belong together, or apart. Options are those of `openstack server group`. */

import { type Command, Option } from "commander";
import { type ServerGroup, ServerGroupServiceService } from "../../proto/gen/ferry/v1/placement.js";
import { positiveInteger } from "../arguments.js";
import { GROUP_COLUMNS, groupFields } from "../output/placement-view.js";
import { present } from "../present.js";
import type { Runner } from "../runner.js";
import type { Session } from "../session.js";

interface CreateOptions {
  readonly policy: string;
  readonly maxServerPerHost?: number;
}

const CREATE_HELP = `
affinity and anti-affinity are kept or the move is refused; with "soft-" they are what the scheduler prefers. Servers
join a group when they are made: ferry server create … --hint group=NAME.

Examples:
  ferry group create databases --policy anti-affinity
  ferry group create workers --policy anti-affinity --max-server-per-host 2
`;

export function addGroupCommands(program: Command, runner: Runner): void {
  const group = program.command("group").description("servers that belong together, or apart");
  const show = (session: Session, answer: ServerGroup | undefined) => {
    const shown = present(answer, "a server group");
    session.output.record(shown, groupFields(shown));
  };
  group
    .command("create")
    .description("create a server group")
    .argument("<name>", "name of the group")
    .addOption(
      new Option("--policy <policy>", "how its servers are placed")
        .choices(["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"])
        .makeOptionMandatory(),
    )
    .option("--max-server-per-host <number>", "with anti-affinity: so many may share a host", positiveInteger)
    .addHelpText("after", CREATE_HELP)
    .action(
      runner.online(async (session, { policy, maxServerPerHost = 0 }: CreateOptions, name = "") => {
        const request = { name, policy, maxServerPerHost };
        show(session, (await session.call(ServerGroupServiceService.createServerGroup, request)).group);
      }),
    );
  group
    .command("list")
    .description("list server groups")
    .addHelpText("after", "\nExample:\n  ferry group list\n")
    .action(
      runner.online(async session => {
        const { groups } = await session.call(ServerGroupServiceService.listServerGroups, {});
        session.output.list(groups, GROUP_COLUMNS);
      }),
    );
  group
    .command("show")
    .description("show a server group with its members")
    .argument("<group>", "name or id")
    .addHelpText("after", "\nExample:\n  ferry group show databases\n")
    .action(
      runner.online(async (session, _options, name = "") => {
        show(session, (await session.call(ServerGroupServiceService.showServerGroup, { group: name })).group);
      }),
    );
  group
    .command("delete")
    .description("delete a server group; its servers stay where they are")
    .argument("<group>", "name or id")
    .addHelpText("after", "\nExample:\n  ferry group delete databases\n")
    .action(
      runner.online(async (session, _options, name = "") => {
        await session.call(ServerGroupServiceService.deleteServerGroup, { group: name });
        session.output.say(`server group ${name} deleted`);
      }),
    );
}
