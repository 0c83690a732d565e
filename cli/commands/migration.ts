/** `ferry migration`: what is being moved, was moved, or is stuck half-way. */

import type { Command } from "commander";
import { FAULTS, Fault } from "../../proto/fault.js";
import { MigrationServiceService } from "../../proto/gen/ferry/v1/controller.js";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { bandwidth, positiveInteger, signedInteger } from "../arguments.js";
import { printFindings } from "../output/findings.js";
import {
  CHANGE_COLUMNS,
  changeLines,
  migrationColumns,
  migrationFields,
  RECEIPT_COLUMNS,
  STEP_COLUMNS,
} from "../output/migration-view.js";
import { present } from "../present.js";
import type { Runner } from "../runner.js";
import type { Session } from "../session.js";
import { awaitMigration } from "../watch/await-migration.js";

/** Recovery asks both hosts before it answers. */
const RECOVER_MS = 120_000;

export function addMigrationCommands(program: Command, runner: Runner): void {
  const migration = program.command("migration").description("what is being moved, was moved, or is stuck");
  addList(migration, runner);
  migration
    .command("show")
    .description("show a migration with its steps and its copy receipt")
    .argument("<id>", "id of the migration")
    .addHelpText("after", "\nExample:\n  ferry migration show 7\n")
    .action(runner.online((session, _options, id = "") => show(session, id)));
  addWatch(migration, runner);
  migration
    .command("cancel")
    .description("stop a migration: the server ends up on its source, as it was")
    .argument("<id>", "id of the migration")
    .addHelpText("after", "\nExample:\n  ferry migration cancel 7\n")
    .action(
      runner.online(async (session, _options, id = "") => {
        const answer = await session.change(MigrationServiceService.cancelMigration, { id });
        printMigration(session, present(answer.migration, "a migration"));
      }),
    );
  addSet(migration, runner);
  addRecover(migration, runner);
}

/** One migration as a record, for every command that ends with one. */
export function printMigration(session: Session, migration: Migration): void {
  session.output.record(migration, migrationFields(migration));
}

interface ListOptions {
  readonly server: string;
  readonly status: string;
  readonly host: string;
  readonly limit: number;
}

function addList(migration: Command, runner: Runner): void {
  migration
    .command("list")
    .description("list migrations, the latest first")
    .option("--server <server>", "only of this server", "")
    .option("--status <status>", "only in this status, e.g. migrating, finished, stuck", "")
    .option("--host <host>", "only from or to this host", "")
    .option("--limit <number>", "at most so many", positiveInteger, 100)
    .addHelpText("after", "\nExamples:\n  ferry migration list\n  ferry migration list --status stuck\n")
    .action(
      runner.online(async (session, options: ListOptions) => {
        const { server, status, host, limit } = options;
        const request = { server, status, host, limit };
        const { migrations } = await session.call(MigrationServiceService.listMigrations, request);
        session.output.list(migrations, migrationColumns(session.shell.now()));
      }),
    );
}

async function show(session: Session, id: string): Promise<void> {
  const answer = await session.call(MigrationServiceService.showMigration, { id });
  const migration = present(answer.migration, "a migration");
  printMigration(session, migration);
  if (session.output.format === "json") return;
  if (migration.steps.length > 0) session.output.list(migration.steps, STEP_COLUMNS);
  if (migration.receipt.length > 0) session.output.list(migration.receipt, RECEIPT_COLUMNS);
  const changes = changeLines(migration);
  if (changes.length > 0) session.output.list(changes, CHANGE_COLUMNS);
}

function addWatch(migration: Command, runner: Runner): void {
  migration
    .command("watch")
    .description("follow a migration; leaving does not stop it")
    .argument("<id>", "id of the migration")
    .option("--until-ended", "stay through the verify window, until it is confirmed or reverted")
    .addHelpText("after", "\nExample:\n  ferry migration watch 7\n")
    .action(
      runner.online(async (session, { untilEnded = false }: { readonly untilEnded?: boolean }, id = "") => {
        const answer = await session.call(MigrationServiceService.showMigration, { id });
        const found = present(answer.migration, "a migration");
        return await awaitMigration(session, { migration: found, wanted: "end", untilEnded }, true);
      }),
    );
}

const SET_HELP = `
RATE is in bytes with a unit of 1024 (50M is 50 MiB per second), in bits with one of 1000 (400mbit), or none. It counts for what is
being copied now and for what follows, until the migration ends.

Examples:
  ferry migration set 7 --bwlimit 50M
  ferry migration set 7 --bwlimit none
  ferry migration set 7 --priority 2
`;

interface SetOptions {
  readonly bwlimit?: number;
  readonly priority?: number;
}

function addSet(migration: Command, runner: Runner): void {
  migration
    .command("set")
    .description("change how a migration is carried out, while it goes on")
    .argument("<id>", "id of the migration")
    .option("--bwlimit <rate>", "how fast its disks may be copied", bandwidth)
    .option("--priority <number>", "-10 to 10, while it waits for its turn", signedInteger)
    .addHelpText("after", SET_HELP)
    .action(
      runner.online(async (session, { bwlimit, priority }: SetOptions, id = "") => {
        if (bwlimit === undefined && priority === undefined)
          throw new Fault("invalid-argument", "nothing to set", { need: "--bwlimit or --priority" });
        const request = { id, bandwidthBytesPerSecond: bwlimit, priority };
        const answer = await session.call(MigrationServiceService.setMigration, request);
        printMigration(session, present(answer.migration, "a migration"));
      }),
    );
}

const RECOVER_HELP = `
Asks both hosts what is really there, then carries the migration on: forward or back, whichever loses nothing.
With --plan it only says what it found and what it would do.

--fenced-host is your word that a host is dead: switched off and not coming back by itself, whatever it last said. It is
recorded with your name and the reason, and the host goes into quarantine for when it returns. Give it only if you have
seen that the machine is off: if it is not, the server may run twice.

Examples:
  ferry migration recover 7 --plan
  ferry migration recover 7
  ferry migration recover 7 --fenced-host h2 --reason "power supply burnt, unplugged by me"
`;

interface RecoverOptions {
  readonly plan?: boolean;
  readonly fencedHost: string;
  readonly reason: string;
}

function addRecover(migration: Command, runner: Runner): void {
  migration
    .command("recover")
    .description("carry on a migration that is stuck")
    .argument("<id>", "id of the migration")
    .option("--plan", "say what would be done, and do nothing")
    .option("--fenced-host <host>", "your word that this host is dead", "")
    .option("--reason <text>", "how you know, for whoever asks later", "")
    .addHelpText("after", RECOVER_HELP)
    .action(
      runner.online(async (session, { plan = false, fencedHost, reason }: RecoverOptions, id = "") => {
        const request = { id, planOnly: plan, fencedHost, reason };
        const answer = await session.call(MigrationServiceService.recoverMigration, request, RECOVER_MS);
        const found = present(answer.migration, "a migration");
        if (session.output.format === "json") session.output.json(answer);
        else printFindings(session.output, answer.findings, answer.plan);
        return found.status === "stuck" && !plan ? FAULTS.stuck.exit : 0;
      }),
    );
}
