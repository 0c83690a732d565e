/** `ferry placement`: what is booked, and whether the bookings are what servers and migrations need. */

import type { Command } from "commander";
import { FAULTS } from "../../proto/fault.js";
import { PlacementServiceService } from "../../proto/gen/ferry/v1/placement.js";
import { ALLOCATION_COLUMNS, FINDING_COLUMNS, INVENTORY_COLUMNS } from "../output/placement-view.js";
import type { Runner } from "../runner.js";

const AUDIT_HELP = `
Every server holds its flavor on its host; during a migration the migration holds the source and the server its
target. What nobody needs, what is missing and what is wrong is listed; --heal corrects it, except for servers whose
migration is open. The exit code is 0 when nothing is left to correct.

Examples:
  ferry placement audit
  ferry placement audit --heal
`;

export function addPlacementCommands(program: Command, runner: Runner): void {
  const placement = program.command("placement").description("what is booked on the hosts");
  placement
    .command("show")
    .description("show what hosts offer and who has booked it")
    .argument("[host]", "only this host")
    .addHelpText("after", "\nExamples:\n  ferry placement show\n  ferry placement show h1 -o json\n")
    .action(
      runner.online(async (session, _options, host = "") => {
        const answer = await session.call(PlacementServiceService.showPlacement, { host });
        const { output } = session;
        if (output.format === "json") return output.json(answer);
        const offers = answer.hosts.flatMap(({ name, inventories }) =>
          inventories.map(inventory => ({ host: name, inventory })),
        );
        output.list(offers, INVENTORY_COLUMNS);
        output.list(answer.allocations, ALLOCATION_COLUMNS);
      }),
    );
  placement
    .command("audit")
    .description("find bookings that nobody needs, or that are missing or wrong")
    .option("--heal", "correct what is certain")
    .addHelpText("after", AUDIT_HELP)
    .action(
      runner.online(async (session, { heal = false }: { readonly heal?: boolean }) => {
        const { findings } = await session.call(PlacementServiceService.auditPlacement, { heal });
        session.output.list(findings, FINDING_COLUMNS);
        if (findings.length === 0) session.output.say("every booking is right");
        return findings.every(({ healed }) => healed) ? 0 : FAULTS.refused.exit;
      }),
    );
}
