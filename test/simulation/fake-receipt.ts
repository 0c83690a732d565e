/** Receipts as fake agents write them: the same facts as the real ones, with the host's name for a signature. */

import type { Receipt } from "../../proto/gen/ferry/v1/agent.js";

export interface FakeStatement {
  readonly kind: "fence" | "mirror";
  readonly server: string;
  readonly migration: string;
  readonly epoch: number;
  readonly host: string;
  readonly peerHost: string;
}

export const receiptOf = (statement: FakeStatement): Receipt => ({
  statement: Buffer.from(JSON.stringify(statement)),
  signature: Buffer.from(statement.host),
  certificatePem: "",
});

/** Why the receipt is not good enough; nothing when it is. */
export function receiptProblem(receipt: Receipt | undefined, expected: FakeStatement): string | undefined {
  if (receipt === undefined) return "there is no receipt";
  const statement = JSON.parse(Buffer.from(receipt.statement).toString()) as FakeStatement;
  const wrong = (Object.keys(expected) as (keyof FakeStatement)[]).filter(
    key => statement[key] !== expected[key],
  );
  if (wrong.length > 0)
    return wrong.map(key => `${key} is ${statement[key]}, not ${expected[key]}`).join(", ");
  return Buffer.from(receipt.signature).toString() === expected.host
    ? undefined
    : "the signature is not its host's";
}
