/** `ferry policy`: who may do what, as the controller applies it. */

import type { Command } from "commander";
import { PolicyServiceService } from "../../proto/gen/ferry/v1/placement.js";
import { RULE_COLUMNS } from "../output/placement-view.js";
import type { Runner } from "../runner.js";

export function addPolicyCommands(program: Command, runner: Runner): void {
  const policy = program.command("policy").description("who may do what");
  policy
    .command("show")
    .description("show every rule with the role that it needs, and whether you have that role")
    .addHelpText(
      "after",
      "\nRules are Nova's; policy_file of the controller changes them.\n\nExample:\n  ferry policy show\n",
    )
    .action(
      runner.online(async session => {
        const { rules } = await session.call(PolicyServiceService.listPolicyRules, {});
        session.output.list(rules, RULE_COLUMNS);
      }),
    );
}
