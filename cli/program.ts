/** The tree of commands: global options here, one file per group under commands/. */

import { Command, Help, Option } from "commander";
import { VERSION } from "../proto/version.js";
import { positiveInteger } from "./arguments.js";
import { addAdminCommands } from "./commands/admin.js";
import { addAggregateCommands } from "./commands/aggregate.js";
import { addCompletionCommand } from "./commands/completion.js";
import { addCredentialCommand } from "./commands/credential.js";
import { addEventCommands } from "./commands/event.js";
import { addFlavorCommands } from "./commands/flavor.js";
import { addGroupCommands } from "./commands/group.js";
import { addHostCommands } from "./commands/host.js";
import { addMigrationCommands } from "./commands/migration.js";
import { addPkiCommands } from "./commands/pki.js";
import { addPlacementCommands } from "./commands/placement.js";
import { addPolicyCommands } from "./commands/policy.js";
import { addServerCommands } from "./commands/server.js";
import { addVerifyCommand } from "./commands/verify.js";
import type { Runner } from "./runner.js";
import type { Shell } from "./shell.js";

const PROGRAM_HELP = `
Configuration (--config, $FERRY_CONFIG, ~/.config/ferry/client.toml, /etc/ferry/client.toml):
  controller = "ctl:7400"
  [tls]
  ca = "ca.crt"
  cert = "user.crt"
  key = "user.key"

Exit codes:
  0 done                      1 a defect in Ferry         2 wrong usage
  3 refused by a check        4 conflict                  5 failed, everything is as it was
  6 a person is needed        7 unreachable or too late   8 not permitted
  9 not found               130 interrupted

Examples:
  ferry server list
  ferry server migrate web-3 --dry-run
  ferry server migrate web-3 --host h2 --watch
  ferry server confirm web-3
`;

export function buildProgram(runner: Runner, shell: Pick<Shell, "write" | "writeError" | "width">): Command {
  const program = new Command("ferry")
    .description("Move virtual machines between libvirt hosts.")
    .version(`ferry ${VERSION}`, "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .addOption(
      new Option("-o, --output <format>", "how to print answers").choices(["table", "json"]).default("table"),
    )
    .option("--controller <address>", "HOST:PORT of the controller, instead of the configured one")
    .option("--config <file>", "configuration file")
    .option(
      "--timeout <seconds>",
      "how long to wait for an answer, instead of what is usual",
      positiveInteger,
    )
    .addHelpText("after", PROGRAM_HELP)
    .configureHelp({ optionDescription })
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: text => shell.write(text),
      writeErr: text => shell.writeError(text),
      getOutHelpWidth: () => shell.width,
      getErrHelpWidth: () => shell.width,
    });
  addServerCommands(program, runner);
  addMigrationCommands(program, runner);
  addHostCommands(program, runner);
  addAggregateCommands(program, runner);
  addGroupCommands(program, runner);
  addPlacementCommands(program, runner);
  addEventCommands(program, runner);
  addFlavorCommands(program, runner);
  addAdminCommands(program, runner);
  addPolicyCommands(program, runner);
  addVerifyCommand(program, runner);
  addPkiCommands(program, runner);
  addCredentialCommand(program, runner);
  addCompletionCommand(program, shell);
  return program;
}

/** An empty default means "not given"; there is nothing to tell about it. */
function optionDescription(option: Option): string {
  return option.defaultValue === "" ? option.description : new Help().optionDescription(option);
}
