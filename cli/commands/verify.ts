/** `ferry verify`: are the files still what the copy receipt says? */

import { existsSync, readFileSync } from "node:fs";
import type { Command } from "commander";
import { FAULTS, Fault } from "../../proto/fault.js";
import { MigrationServiceService, type VerifyReceiptRequest } from "../../proto/gen/ferry/v1/controller.js";
import { type FileVerdict, Migration } from "../../proto/gen/ferry/v1/model.js";
import { VERDICT_COLUMNS, verdictSummary } from "../output/verdict-view.js";
import { present } from "../present.js";
import type { Runner } from "../runner.js";
import type { Session } from "../session.js";

const VERIFY_HELP = `
RECEIPT is the id of a migration, or a file with what \`ferry migration show ID -o json\` printed: kept elsewhere, such a
receipt does not depend on what the controller remembers.

Every file is read again on the host that it was copied to, past the page cache where that is possible; nothing is changed. What
a running guest writes to is not read: stop it first. Exit code 0: every file is as received. 5: one is missing, or differs although it
was not written to since. 3: it cannot be told, because the guest runs or has written since.

Examples:
  ferry verify 7
  ferry migration show 7 -o json > receipt.json
  ferry verify receipt.json
`;

export function addVerifyCommand(program: Command, runner: Runner): void {
  program
    .command("verify")
    .description("read copied files again and compare them with their receipt")
    .argument("<receipt>", "id of a migration, or a file with its receipt")
    .addHelpText("after", VERIFY_HELP)
    .action(runner.online((session, _options, receipt = "") => verify(session, receipt)));
}

async function verify(session: Session, receipt: string): Promise<number> {
  const request = requestOf(receipt);
  const verdicts: FileVerdict[] = [];
  let host = "";
  for await (const answer of session.stream(MigrationServiceService.verifyReceipt, request)) {
    const verdict = present(answer.verdict, "a verdict");
    verdicts.push(verdict);
    host = answer.host;
    if (session.shell.isTerminal) session.shell.writeError(`${verdict.path}: ${verdict.outcome}\n`);
  }
  if (session.output.format === "json") session.output.json({ host, files: verdicts });
  else session.output.list(verdicts, VERDICT_COLUMNS);
  session.output.say(verdictSummary(host, verdicts));
  return exitCodeOf(verdicts);
}

function requestOf(receipt: string): VerifyReceiptRequest {
  if (!existsSync(receipt)) return { id: receipt, files: [] };
  try {
    const { id, receipt: files } = Migration.fromJSON(JSON.parse(readFileSync(receipt, "utf8")));
    if (id !== "" && files.length > 0) return { id, files };
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new Fault("invalid-argument", `read the receipt in ${receipt}: ${cause}`);
  }
  throw new Fault("invalid-argument", `${receipt} holds no receipt`, {
    need: "what `ferry migration show ID -o json` prints",
  });
}

function exitCodeOf(verdicts: readonly FileVerdict[]): number {
  const has = (...outcomes: string[]) => verdicts.some(({ outcome }) => outcomes.includes(outcome));
  if (has("differs", "missing")) return FAULTS.corrupt.exit;
  return has("changed", "in-use", "unread") ? FAULTS.refused.exit : 0;
}
