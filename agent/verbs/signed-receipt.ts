/** Receipts of this agent, and the check of another agent's (SAFETY R4). */

import { Fault } from "../../proto/fault.js";
import type { Receipt } from "../../proto/gen/ferry/v1/agent.js";
import { type Statement, signStatement, verifyStatement } from "../../proto/receipt.js";
import type { FenceStatement } from "../fence/receipt-facts.js";
import type { Call, World } from "./verb.js";

export function signedReceipt(statement: FenceStatement, { tls }: World): Receipt {
  const { key, cert } = tls.material;
  return signStatement({ ...statement, files: [...statement.files] }, key, cert);
}

/** The other side's statement about this very migration, made for this host; or a fault that says what is wrong. */
export function verifiedReceipt(
  receipt: Receipt | undefined,
  expected: { readonly kind: Statement["kind"]; readonly host: string },
  call: Call,
  { tls, config }: World,
): Statement {
  if (receipt === undefined)
    throw new Fault("refused", `the ${expected.kind} receipt of ${expected.host} is missing`);
  const { ca, identity } = tls.material;
  const statement = verifyStatement(receipt, { ...expected, ca, domain: identity.domain });
  const isOurs = statement.server === call.serverId && statement.migration === call.migrationId;
  if (!isOurs || statement.peerHost !== config.host) {
    throw new Fault(
      "refused",
      `the ${expected.kind} receipt of ${expected.host} speaks of another migration`,
      {
        have: `server ${statement.server}, migration ${statement.migration}, for ${statement.peerHost}`,
        need: `server ${call.serverId}, migration ${call.migrationId}, for ${config.host}`,
      },
    );
  }
  // One of an epoch before may have been revoked since; one of an epoch after is for a later owner than the caller.
  if (statement.epoch !== call.epoch)
    throw new Fault("stale-epoch", `the receipt is of epoch ${statement.epoch}, this call of ${call.epoch}`);
  return statement;
}
