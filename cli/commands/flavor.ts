/** `ferry flavor`: the named sizes of servers. Options are those of the OpenStack client. */

import type { Command } from "commander";
import { FlavorServiceService } from "../../proto/gen/ferry/v1/controller.js";
import { collect, keyValue, positiveInteger, wholeNumber } from "../arguments.js";
import { FLAVOR_COLUMNS, flavorFields } from "../output/flavor-view.js";
import { present } from "../present.js";
import type { Runner } from "../runner.js";
import type { Session } from "../session.js";

interface CreateOptions {
  readonly id?: string;
  readonly vcpus: number;
  readonly ram: number;
  readonly disk: number;
  readonly ephemeral: number;
  readonly swap: number;
  readonly property?: Readonly<Record<string, string>>;
}

export function addFlavorCommands(program: Command, runner: Runner): void {
  const flavor = program.command("flavor").description("the named sizes of servers");
  addCreate(flavor, runner);
  addSet(flavor, runner);
  flavor
    .command("list")
    .description("list flavors")
    .addHelpText("after", "\nExample:\n  ferry flavor list\n")
    .action(
      runner.online(async session => {
        const { flavors } = await session.call(FlavorServiceService.listFlavors, {});
        session.output.list(flavors, FLAVOR_COLUMNS);
      }),
    );
  flavor
    .command("show")
    .description("show a flavor")
    .argument("<flavor>", "name or id")
    .addHelpText("after", "\nExample:\n  ferry flavor show m1.small\n")
    .action(
      runner.online(async (session, _options, name = "") => {
        const answer = await session.call(FlavorServiceService.showFlavor, { flavor: name });
        const shown = present(answer.flavor, "a flavor");
        session.output.record(shown, flavorFields(shown));
      }),
    );
  flavor
    .command("delete")
    .description("delete a flavor; servers of it keep their size")
    .argument("<flavor>", "name or id")
    .addHelpText("after", "\nExample:\n  ferry flavor delete m1.small\n")
    .action(
      runner.online(async (session, _options, name = "") => {
        await session.call(FlavorServiceService.deleteFlavor, { flavor: name });
        session.output.say(`flavor ${name} deleted`);
      }),
    );
}

const SET_HELP = `
For servers that are made or resized from now on; others keep what they have.

Examples:
  ferry flavor set m1.small --property hw:cpu_policy=dedicated
  ferry flavor unset m1.small --property hw:cpu_policy
`;

interface SetOptions {
  readonly property: Readonly<Record<string, string>>;
}

function addSet(flavor: Command, runner: Runner): void {
  const change = async (
    session: Session,
    name: string,
    set: SetOptions["property"],
    unset: readonly string[],
  ) => {
    const asked = { flavor: name, set: { ...set }, unset: [...unset] };
    const answer = await session.call(FlavorServiceService.setExtraSpecs, asked);
    const changed = present(answer.flavor, "a flavor");
    session.output.record(changed, flavorFields(changed));
  };
  flavor
    .command("set")
    .description("set extra specs of a flavor")
    .argument("<flavor>", "name or id")
    .requiredOption("--property <key=value>", "extra spec; may be repeated", keyValue)
    .addHelpText("after", SET_HELP)
    .action(
      runner.online((session, { property }: SetOptions, name = "") => change(session, name, property, [])),
    );
  flavor
    .command("unset")
    .description("remove extra specs of a flavor")
    .argument("<flavor>", "name or id")
    .requiredOption("--property <key>", "extra spec; may be repeated", collect)
    .addHelpText("after", SET_HELP)
    .action(
      runner.online((session, { property }: { readonly property: readonly string[] }, name = "") =>
        change(session, name, {}, property),
      ),
    );
}

function addCreate(flavor: Command, runner: Runner): void {
  flavor
    .command("create")
    .description("create a flavor")
    .argument("<name>", "name of the flavor")
    .requiredOption("--vcpus <number>", "virtual CPUs", positiveInteger)
    .requiredOption("--ram <MiB>", "memory", positiveInteger)
    .requiredOption("--disk <GiB>", "root disk; 0: as large as the image", wholeNumber)
    .option("--ephemeral <GiB>", "ephemeral disk", wholeNumber, 0)
    .option("--swap <MiB>", "swap disk", wholeNumber, 0)
    .option("--property <key=value>", "extra spec, e.g. hw:cpu_policy=dedicated; may be repeated", keyValue)
    .option("--id <id>", "id, when not a new one")
    .addHelpText(
      "after",
      "\nExample:\n  ferry flavor create m1.small --vcpus 1 --ram 512 --disk 4 --ephemeral 1 --swap 64\n",
    )
    .action(
      runner.online(async (session, options: CreateOptions, name = "") => {
        const answer = await session.call(FlavorServiceService.createFlavor, {
          flavor: {
            id: options.id ?? "",
            name,
            vcpus: options.vcpus,
            ramMib: options.ram,
            rootGib: options.disk,
            ephemeralGib: options.ephemeral,
            swapMib: options.swap,
            extraSpecs: { ...options.property },
          },
        });
        const created = present(answer.flavor, "a flavor");
        session.output.record(created, flavorFields(created));
      }),
    );
}
