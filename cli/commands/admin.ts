/** `ferry admin`: the controller's store against what the hosts say. */

import type { Command } from "commander";
import { FAULTS } from "../../proto/fault.js";
import { AdminServiceService } from "../../proto/gen/ferry/v1/controller.js";
import { collect, positiveInteger } from "../arguments.js";
import { CHANGE_COLUMNS } from "../output/change-view.js";
import { DRIFT_COLUMNS } from "../output/drift-view.js";
import { printFindings } from "../output/findings.js";
import type { Runner } from "../runner.js";

/** Every host is asked about every open migration. */
const RAISE_MS = 300_000;

export function addAdminCommands(program: Command, runner: Runner): void {
  const admin = program
    .command("admin")
    .description("the controller's records: against the hosts, and who changed them");
  addAudit(admin, runner);
  addEpochRaise(admin, runner);
  addChanges(admin, runner);
}

const AUDIT_HELP = `
Asks every host that is up about every server, and compares that with the controller's records. Wrong
bookings are corrected, unless --look is given. The controller does the same every minute.

Exit code 4 when something is left that is not as it should be.

Examples:
  ferry admin audit
  ferry admin audit --look -o json
`;

function addAudit(admin: Command, runner: Runner): void {
  admin
    .command("audit")
    .description("say what is not as the records say")
    .option("--look", "heal nothing")
    .addHelpText("after", AUDIT_HELP)
    .action(
      runner.online(async (session, { look = false }: { readonly look?: boolean }) => {
        const { drifts } = await session.call(AdminServiceService.audit, { lookOnly: look }, RAISE_MS);
        session.output.list(drifts, DRIFT_COLUMNS);
        return drifts.some(({ healed }) => !healed) ? FAULTS.conflict.exit : 0;
      }),
    );
}

const EPOCH_RAISE_HELP = `
For a controller whose database was restored from a backup: everything stands still then, until this command has raised
every server's epoch above all that the agents have seen, and has compared every open migration with the journals of its
hosts. Migrations that agree go on by themselves; the others are stuck until "ferry migration recover".

Examples:
  ferry admin epoch-raise --plan
  ferry admin epoch-raise
  ferry admin epoch-raise --without-host h7
`;

interface RaiseOptions {
  readonly plan?: boolean;
  readonly withoutHost?: readonly string[];
}

function addEpochRaise(admin: Command, runner: Runner): void {
  admin
    .command("epoch-raise")
    .description("go on after the controller's database was restored")
    .option("--plan", "say what would be done, and do nothing")
    .option("--without-host <host>", "do not wait for this silent host; may be repeated", collect)
    .addHelpText("after", EPOCH_RAISE_HELP)
    .action(
      runner.online(async (session, { plan = false, withoutHost = [] }: RaiseOptions) => {
        const request = { planOnly: plan, withoutHosts: [...withoutHost] };
        const answer = await session.call(AdminServiceService.raiseEpochs, request, RAISE_MS);
        if (session.output.format === "json") session.output.json(answer);
        else printFindings(session.output, answer.findings, answer.plan);
      }),
    );
}

const CHANGES_HELP = `
Newest first: who enabled or disabled a host, changed a flavor, an aggregate, a server group or what a host offers, corrected
bookings or raised epochs, and what came of it. What was asked of a server is in "ferry server events", of a migration in
"ferry migration show".

Examples:
  ferry admin changes
  ferry admin changes --by user/ada --limit 20
  ferry admin changes --of h3 -o json
`;

interface ChangesOptions {
  readonly by: string;
  readonly of: string;
  readonly limit: number;
}

function addChanges(admin: Command, runner: Runner): void {
  admin
    .command("changes")
    .description("who changed hosts, flavors, aggregates, groups and bookings")
    .option("--by <who>", "only what this one asked for: user/NAME", "")
    .option("--of <name>", "only of this host, flavor, aggregate or group, as it was named", "")
    .option("--limit <number>", "at most so many", positiveInteger, 100)
    .addHelpText("after", CHANGES_HELP)
    .action(
      runner.online(async (session, { by, of, limit }: ChangesOptions) => {
        const request = { requestedBy: by, subject: of, limit };
        const { changes } = await session.call(AdminServiceService.listChanges, request);
        session.output.list(changes, CHANGE_COLUMNS);
      }),
    );
}
