/** Receipts as the agents of test hosts sign them, whole or with one thing wrong. */

import { type FenceStatement, fenceStatement } from "../../../agent/fence/receipt-facts.js";
import type { World } from "../../../agent/verbs/verb.js";
import type { Receipt } from "../../../proto/gen/ferry/v1/agent.js";
import { signStatement } from "../../../proto/receipt.js";
import { SERVER, SOURCE } from "./host.js";

/** h1's word that the server's home incarnation cannot run there, for h2. */
export function fenceReceipt(signer: World["tls"], change: Partial<FenceStatement> = {}): Receipt {
  const statement = fenceStatement(
    {
      kind: "fence",
      server: SERVER,
      migration: "m1",
      incarnation: SOURCE,
      epoch: 2,
      host: "h1",
      peerHost: "h2",
      bootId: "boot-1",
      at: Date.now(),
    },
    [],
  );
  const { key, cert } = signer.material;
  return signStatement({ ...statement, ...change, files: [] }, key, cert);
}
