/** What `ferry server migrate` and `ferry server resize` have in common: options, dry run, waiting. */

import { type Command, Option } from "commander";
import { FAULTS } from "../../proto/fault.js";
import type { HostVerdict, Migration } from "../../proto/gen/ferry/v1/model.js";
import { networkMapping, positiveInteger, signedInteger } from "../arguments.js";
import { VERDICT_COLUMNS, verdictLines } from "../output/server-view.js";
import { present } from "../present.js";
import type { Session } from "../session.js";
import { type Awaited, addWaitOptions, awaitMigration, type WaitOptions } from "../watch/await-migration.js";
import { printMigration } from "./migration.js";
import { readOnlyDrivesOption } from "./server-adopt.js";

/** Every host may be asked before the answer. */
export const MOVE_MS = 120_000;

export interface MoveOptions extends WaitOptions {
  readonly dryRun?: boolean;
  readonly shutdownTimeout?: number;
  readonly gracefulOnly?: boolean;
  readonly readOnlyDrives: string;
  readonly networkMap?: Readonly<Record<string, string>>;
  readonly priority?: number;
  readonly compression?: string;
  readonly blockDisks: string;
}

export function addMoveOptions(command: Command): Command {
  command
    .option("--dry-run", "only say which hosts could take it, and why the others cannot")
    .option(
      "--shutdown-timeout <seconds>",
      "how long the guest may take to shut down (default: 60)",
      positiveInteger,
    )
    .option("--graceful-only", "go back rather than switch off a guest that does not shut down")
    .addOption(readOnlyDrivesOption())
    .addOption(networkMapOption())
    .addOption(blockDisksOption())
    .addOption(
      new Option(
        "--compression <policy>",
        "disk data on its way; otherwise as the source is configured",
      ).choices(["auto", "off", "zstd"]),
    )
    .option(
      "--priority <number>",
      "-10 to 10: a head start over others that wait for their turn",
      signedInteger,
    );
  return addWaitOptions(command);
}

/** Their part of the request. */
export const moveRequest = ({
  dryRun,
  shutdownTimeout,
  gracefulOnly,
  readOnlyDrives,
  networkMap,
  priority,
  compression,
  blockDisks,
}: MoveOptions) => ({
  dryRun: dryRun ?? false,
  shutdownTimeoutSeconds: shutdownTimeout ?? 0,
  gracefulOnly: gracefulOnly ?? false,
  readOnlyDrives,
  networkMap: { ...networkMap },
  priority,
  compression,
  blockDisks,
});

export const blockDisksOption = (): Option =>
  new Option(
    "--block-disks <what>",
    "disks on block devices that the target does not have: refuse, or copy them into image files there",
  )
    .choices(["refuse", "copy"])
    .default("refuse");

export const networkMapOption = (): Option =>
  new Option(
    "--network-map <[host/]kind:name=name>",
    "a bridge or network that the target calls otherwise, as bridge:br0=br1; may be repeated",
  ).argParser(networkMapping);

export const QUEUE_HELP = `Only so many migrations copy at a time, in all and at each host, as the controller is configured; the others wait with
their guests running. Each step of --priority is worth ten minutes of waiting.`;

interface MoveAnswer {
  readonly migration?: Migration | undefined;
  readonly verdicts: HostVerdict[];
}

/** The exit code. */
export function concludeMove(session: Session, answer: MoveAnswer, options: MoveOptions): Promise<number> {
  if (options.dryRun === true) return Promise.resolve(printVerdicts(session, answer.verdicts));
  const migration = present(answer.migration, "a migration");
  return proceed(session, { migration, wanted: "migrate", untilEnded: false }, options);
}

function printVerdicts({ output }: Session, verdicts: HostVerdict[]): number {
  if (output.format === "json") output.json(verdicts);
  else output.list(verdictLines(verdicts), VERDICT_COLUMNS);
  return verdicts.some(({ ok }) => ok) ? 0 : FAULTS["no-valid-host"].exit;
}

/** Without `--wait` or `--watch` the command ends here; the migration does not. */
export async function proceed(
  session: Session,
  awaited: Awaited,
  { wait, watch }: WaitOptions,
): Promise<number> {
  if (watch === true || wait === true) return await awaitMigration(session, awaited, watch === true);
  printMigration(session, awaited.migration);
  return 0;
}
