/** `ferry verify`: a copy receipt held against the files that it is about, on the host where they came to be. */

import { Fault } from "../../proto/fault.js";
import type { VerifyReceiptResponse } from "../../proto/gen/ferry/v1/controller.js";
import type { CopiedFile } from "../../proto/gen/ferry/v1/model.js";
import type { AgentPort } from "../fleet/agent-port.js";
import type { MigrationRecord } from "../store/migrations.js";

/** The target's files are whole, and still the target's. */
const VERIFIABLE: readonly string[] = ["finished", "confirming", "confirmed"];

/** `kept` is a receipt that somebody kept; empty: the migration's own. */
export async function* verifyReceipt(
  { id, status, serverId, receipt, targetHost: host }: MigrationRecord,
  kept: readonly CopiedFile[],
  agent: Pick<AgentPort, "verifyFiles">,
  signal: AbortSignal,
): AsyncGenerator<VerifyReceiptResponse> {
  if (!VERIFIABLE.includes(status)) {
    throw new Fault("refused", `the copy of migration ${id} cannot be verified`, {
      have: `a migration that is ${status}`,
      need: "one that is finished or confirmed: else its files are not there yet, or not there any more",
    });
  }
  const files = kept.length > 0 ? kept : receipt;
  if (files.length === 0) throw new Fault("refused", `migration ${id} copied no files, so it has no receipt`);
  const request = { serverId, files: [...files] };
  for await (const verdict of agent.verifyFiles(host, request, signal)) yield { host, verdict };
}
