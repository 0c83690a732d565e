/** `ferry server migrate`, and the decision after it: `confirm` or `revert`. */

import { type Command, Option } from "commander";
import { Fault } from "../../proto/fault.js";
import { MigrationServiceService, ServerServiceService } from "../../proto/gen/ferry/v1/controller.js";
import type { Migration, Server } from "../../proto/gen/ferry/v1/model.js";
import { printable } from "../output/printable.js";
import { formatAge, formatTime } from "../output/units.js";
import { present } from "../present.js";
import { requireYes } from "../question.js";
import type { Runner } from "../runner.js";
import type { Session } from "../session.js";
import { addWaitOptions, type WaitOptions } from "../watch/await-migration.js";
import {
  addMoveOptions,
  concludeMove,
  MOVE_MS,
  type MoveOptions,
  moveRequest,
  proceed,
  QUEUE_HELP,
} from "./server-move.js";

/** The source is looked at before a revert is accepted. */
const DECIDE_MS = 60_000;

interface MigrateOptions extends MoveOptions {
  readonly host: string;
  readonly force?: boolean;
  readonly diskFormat?: string;
}

const MIGRATE_HELP = `
Everything that can fail is checked before the guest is stopped. Until it is confirmed, the source keeps all that
it needs to have the server back.

${QUEUE_HELP}

--force takes a host that is disabled or that another filter is against. What placement has no room for, and what the
host itself refuses, stays refused.

--disk-format makes each copied root and ephemeral disk one file of that format on the target, without backing files;
what the guest sees is compared before and after. Without it disks stay what they are.

--block-disks copy takes a server along whose disks lie on block devices of its host alone: each becomes an image file on the
target. The device is only read, and stays as it was, also when the migration is confirmed. What both hosts have stays there.

Examples:
  ferry server migrate web-3 --dry-run
  ferry server migrate web-3 --host h2 --watch
  ferry server migrate web-3 --wait && ferry server confirm web-3
`;

export function addMigrate(server: Command, runner: Runner): void {
  const command = server
    .command("migrate")
    .description("move a server to another host (cold: it is stopped meanwhile)")
    .argument("<server>", "name or id")
    .option("--host <host>", "where to; otherwise the scheduler chooses", "")
    .option("--force", "that host even where the scheduler advises against it")
    .addOption(
      new Option("--disk-format <format>", "convert copied disks on the target").choices(["raw", "qcow2"]),
    );
  addMoveOptions(command)
    .addHelpText("after", MIGRATE_HELP)
    .action(
      runner.online(async (session, options: MigrateOptions, name = "") => {
        const { host, force = false, diskFormat } = options;
        const request = { server: name, host, force, diskFormat, ...moveRequest(options) };
        const answer = await session.change(ServerServiceService.migrateServer, request, MOVE_MS);
        return concludeMove(session, answer, options);
      }),
    );
}

export function addConfirm(server: Command, runner: Runner): void {
  const command = server
    .command("confirm")
    .description("keep a migrated server where it is now, and remove what the source kept")
    .argument("<server>", "name or id");
  addWaitOptions(command)
    .addHelpText("after", "\nExample:\n  ferry server confirm web-3\n")
    .action(
      runner.online(async (session, options: WaitOptions, name = "") => {
        const answer = await session.change(
          ServerServiceService.confirmServer,
          { server: name, migration: "" },
          DECIDE_MS,
        );
        const migration = present(answer.migration, "a migration");
        return await proceed(session, { migration, wanted: "confirm", untilEnded: true }, options);
      }),
    );
}

const REVERT_HELP = `
Everything that the guest wrote to its own disks since it started on the target is lost; shared disks and volumes
keep it. The command says from when on, and asks; where nobody can be asked it needs --yes.

Example:
  ferry server revert web-3
`;

interface RevertOptions extends WaitOptions {
  readonly yes?: boolean;
}

export function addRevert(server: Command, runner: Runner): void {
  const command = server
    .command("revert")
    .description("take a migrated server back to its source, as it was")
    .argument("<server>", "name or id")
    .option("-y, --yes", "do not ask");
  addWaitOptions(command)
    .addHelpText("after", REVERT_HELP)
    .action(runner.online((session, options: RevertOptions, name = "") => revert(session, options, name)));
}

async function revert(session: Session, options: RevertOptions, name: string): Promise<number> {
  const { server } = await session.call(ServerServiceService.showServer, { server: name });
  const found = present(server, "a server");
  if (found.migrationId === "") {
    throw new Fault("conflict", `${found.name} has no migration that could be reverted`, {
      have: `status ${found.status}`,
    });
  }
  const shown = await session.call(MigrationServiceService.showMigration, { id: found.migrationId });
  await requireYes(session.shell, {
    warning: lossWarning(found, present(shown.migration, "a migration"), session.shell.now()),
    question: `Revert ${printable(found.name)}?`,
    yes: options.yes ?? false,
  });
  // By id: the name could have passed to another server, or another migration have come, while the question was open.
  const request = { server: found.id, migration: found.migrationId, discardWrites: true };
  const answer = await session.change(ServerServiceService.revertServer, request, DECIDE_MS);
  const migration = present(answer.migration, "a migration");
  return await proceed(session, { migration, wanted: "revert", untilEnded: true }, options);
}

/** Which writes will be lost: on which disks, from when on. */
function lossWarning(server: Server, migration: Migration, now: Date): string {
  const sinceMs = ranSince(migration);
  const staysPut = (mode: string) => mode === "shared" || mode === "volume";
  const own = server.disks.filter(({ mode, readOnly }) => !staysPut(mode) && !readOnly);
  const shared = server.disks.filter(({ mode }) => staysPut(mode));
  const label = (disks: typeof own) =>
    disks.map(({ targetDev, role }) => `${targetDev} (${role})`).join(", ");
  const since = sinceMs === 0 ? "it started there" : `${formatTime(sinceMs)} (${formatAge(sinceMs, now)})`;
  const lines = [
    `${server.name} goes back from ${migration.targetHost} to ${migration.sourceHost}, as it was before the migration.`,
    `LOST: everything written on ${migration.targetHost} since ${since} to ${label(own) || "its own disks"}.`,
    ...(shared.length > 0 ? [`Kept: what was written to ${label(shared)}.`] : []),
  ];
  return lines.map(printable).join("\n");
}

/** When the guest began to run on the target. */
const ranSince = ({ steps }: Migration): number =>
  steps.find(({ name }) => name === "release-target")?.endedAtMs ?? 0;
