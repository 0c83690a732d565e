/**
 * Receipts: an agent's signed statement that one incarnation of a server cannot run on its host (SAFETY R4–R7, R9).
 *
 *     statement ─ canonical JSON ─ signed with the agent's TLS key ─ { statement, signature, certificate_pem }
 *
 * A `fence` is the source's statement, which lets the target start; a `mirror` is the target's, which lets the source
 * be restored. Whoever relies on a receipt checks it itself: signature, chain to the CA, the certificate valid when
 * signing, the signer being the agent of the host that the statement is about, and the facts, which the schema
 * fixes, so that a receipt for anything less than "cannot run" does not parse.
 */

import { createPrivateKey, sign, verify, X509Certificate } from "node:crypto";
import { z } from "zod";
import { canonicalJson } from "./canonical-json.js";
import { Fault } from "./fault.js";
import type { Receipt } from "./gen/ferry/v1/agent.js";
import { identityLabel, parseIdentity } from "./identity.js";
import { issued, splitCertificates } from "./tls-files.js";

const text = z.string().min(1);
/** A 64-bit integer as decimal digits. */
const digits = z.string().regex(/^\d{1,20}$/);

const fileSchema = z.strictObject({
  id: text,
  path: text,
  mode: text,
  /** `major:minor`. */
  device: z.string().regex(/^\d{1,10}:\d{1,10}$/),
  inode: digits,
  birthNs: digits,
});

const deviceSchema = z.strictObject({ id: text, path: text, identity: text });

const statementSchema = z.strictObject({
  kind: z.enum(["fence", "mirror"]),
  server: text,
  /** Empty outside a migration. */
  migration: z.string(),
  incarnation: text,
  epoch: z.int().nonnegative(),
  /** Where it cannot run: the signer's own host. */
  host: text,
  /** Whom the receipt is for: the host of the other incarnation. */
  peerHost: text,
  bootId: text,
  /** Milliseconds since the epoch. */
  at: z.int().nonnegative(),
  facts: z.strictObject({
    domain: z.literal("undefined"),
    running: z.literal(false),
    filesOpen: z.literal(false),
    refusesBelowEpoch: z.int().nonnegative(),
  }),
  files: z.array(fileSchema),
  /** Block devices that nobody there has open; absent: none. */
  devices: z.array(deviceSchema).readonly().exactOptional(),
});

export type Statement = z.infer<typeof statementSchema>;
export type FenceStatement = Statement & { kind: "fence" };

/** `key` and `certificate` are PEM: those of the agent's TLS identity. */
export function signStatement(
  statement: Statement,
  key: Buffer | string,
  certificate: Buffer | string,
): Receipt {
  const bytes = Buffer.from(canonicalJson(statementSchema.parse(statement)));
  const signature = sign("sha256", bytes, createPrivateKey(key));
  return { statement: bytes, signature, certificatePem: certificate.toString() };
}

export interface Expectation {
  /** PEM of the CA or CAs. */
  readonly ca: Buffer | string;
  readonly kind: Statement["kind"];
  /** Host whose agent must have signed. */
  readonly host: string;
  /** SPIFFE domain of the fleet. */
  readonly domain: string;
}

/** The statement, or a fault that says what is wrong with the receipt. What it is about is the caller's to compare. */
export function verifyStatement(receipt: Receipt, { ca, kind, host, domain }: Expectation): Statement {
  const chain = parseChain(receipt.certificatePem);
  const signer = parseIdentity(chain[0].subjectAltName, domain);
  if (signer.kind !== "agent" || signer.name !== host) {
    throw refusal(`is signed by ${identityLabel(signer)}`, `agent/${host}`);
  }
  const bytes = Buffer.from(receipt.statement);
  if (!verify("sha256", bytes, chain[0].publicKey, receipt.signature)) throw refusal("has a wrong signature");
  const statement = parseStatement(bytes);
  if (statement.kind !== kind) throw refusal(`is a ${statement.kind} receipt`, `a ${kind} receipt`);
  if (statement.host !== host) throw refusal(`speaks for ${statement.host}`, host);
  requireTrust(chain, ca, new Date(statement.at));
  return statement;
}

type Chain = [X509Certificate, ...X509Certificate[]];

function parseChain(pem: string): Chain {
  try {
    const [leaf, ...others] = splitCertificates(pem).map(one => new X509Certificate(one));
    if (leaf !== undefined && others.length <= MAX_INTERMEDIATES) return [leaf, ...others];
  } catch {
    // Whatever is wrong with it, it is not a certificate.
  }
  throw refusal("carries no readable certificate");
}

const MAX_INTERMEDIATES = 4;

/** From the signer upwards, each certificate issued by the next, the last by a CA of ours, all valid at `at`. */
function requireTrust(chain: Chain, ca: Buffer | string, at: Date): void {
  const authorities = splitCertificates(ca).map(one => new X509Certificate(one));
  const anchor = authorities.find(authority => issued(authority, chain.at(-1) ?? chain[0]));
  const linked = chain.slice(1).every((parent, index) => issued(parent, chain[index] ?? parent));
  if (anchor === undefined || !linked) throw refusal("is signed with a certificate of another CA");
  const valid = [...chain, anchor].every(
    ({ validFromDate, validToDate }) => at >= validFromDate && at <= validToDate,
  );
  if (!valid) throw refusal(`is dated ${at.toISOString()}, when its certificate was not valid`);
}

function parseStatement(bytes: Buffer): Statement {
  try {
    const statement = statementSchema.parse(JSON.parse(bytes.toString()));
    // Another spelling would let two readers see two statements under one signature.
    if (canonicalJson(statement) === bytes.toString()) return statement;
  } catch {
    // Not JSON, or not a statement that we know: both are the refusal below.
  }
  throw refusal("states something that this version does not know");
}

function refusal(problem: string, need?: string): Fault {
  return new Fault("refused", `the receipt ${problem}`, need === undefined ? {} : { need });
}
