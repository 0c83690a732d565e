/**
 * The frames whose payload is JSON: hello, open and error, with the shapes that both sides hold them to.
 *
 * The token never travels. A hello proves its possession by an HMAC over everything it claims (migration, epoch,
 * files, connection) and over the TLS channel's exported key, so a proof is good for one connection only.
 */

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { asFault, Fault, type FaultCode, isFaultCode } from "../../proto/fault.js";
import { PROTOCOL_VERSION, protocolFault } from "./protocol.js";

const id = z.string().min(1).max(256);

const helloSchema = z.strictObject({
  version: z.number().int(),
  purpose: z.enum(["copy", "probe"]),
  migrationId: id,
  serverId: id,
  epoch: z.number().int().nonnegative(),
  /** Random; connections of one attempt belong together, a new attempt supersedes the one before. */
  attempt: z.string().regex(/^[0-9a-f]{32}$/),
  connection: z.number().int().nonnegative().max(255),
  files: z.array(id).max(1024),
  /** Digest algorithms that the source can compute, the one that it likes best first. */
  algorithms: z.array(z.string().max(32)).max(8),
  /** In which data frames may come, if the target can expand them. */
  compressions: z.array(z.string().max(32)).max(8),
  proof: z.string().regex(/^[0-9a-f]{64}$/),
});
export type Hello = z.infer<typeof helloSchema>;
export type HelloClaims = Omit<Hello, "proof" | "version">;

const welcomeSchema = z.strictObject({
  algorithm: z.string().max(32),
  compression: z.enum(["none", "zstd"]),
});
export type Welcome = z.infer<typeof welcomeSchema>;

const decimal = z.string().regex(/^-?\d{1,24}$/);

/** What must be equal for a file to count as unchanged since an earlier attempt. */
const stampSchema = z.strictObject({
  device: z.string().max(64),
  inode: z.string().max(64),
  birthNs: decimal,
  mtimeNs: decimal,
  ctimeNs: decimal,
});
export type SourceStamp = z.infer<typeof stampSchema>;

const openSchema = z.strictObject({
  sizeBytes: z.number().int().nonnegative(),
  /** Bytes in data extents: an upper bound of what will be sent. */
  dataBytes: z.number().int().nonnegative(),
  stamp: stampSchema,
});
export type OpenRequest = z.infer<typeof openSchema>;

const line = z.string().max(1000).optional();
const errorSchema = z.object({
  code: z.string().max(64),
  message: z.string().max(8000),
  have: line,
  need: line,
  fix: line,
});

const encode = (value: unknown): Buffer => Buffer.from(JSON.stringify(value), "utf8");

function decode<T>(what: string, schema: z.ZodType<T>, payload: Buffer): T {
  try {
    return schema.parse(JSON.parse(payload.toString("utf8")));
  } catch (thrown) {
    throw protocolFault(`malformed ${what}: ${asFault(thrown).message.slice(0, 200)}`);
  }
}

export const createToken = (): string => randomBytes(32).toString("hex");

function proofOf(claims: HelloClaims, token: string, channelBinding: Buffer): Buffer {
  const said = [
    PROTOCOL_VERSION,
    claims.purpose,
    claims.migrationId,
    claims.serverId,
    claims.epoch,
    claims.attempt,
    claims.connection,
    claims.files,
    claims.algorithms,
    claims.compressions,
    channelBinding.toString("hex"),
  ];
  return createHmac("sha256", token).update(JSON.stringify(said)).digest();
}

export function encodeHello(claims: HelloClaims, token: string, channelBinding: Buffer): Buffer {
  const proof = proofOf(claims, token, channelBinding).toString("hex");
  return encode({ version: PROTOCOL_VERSION, ...claims, proof });
}

const versionSchema = z.object({ version: z.number().int() });

export function decodeHello(payload: Buffer): Hello {
  const { version } = decode("hello", versionSchema, payload);
  if (version === PROTOCOL_VERSION) return decode("hello", helloSchema, payload);
  throw new Fault("unsupported", `peer speaks transfer protocol ${version}`, {
    have: `version ${PROTOCOL_VERSION}`,
    need: `version ${version}`,
    fix: "install the same release on both hosts",
  });
}

/** Constant time in the token; true when the hello was made by a holder of it, on this very channel. */
export function provesToken(hello: Hello, token: string, channelBinding: Buffer): boolean {
  return timingSafeEqual(Buffer.from(hello.proof, "hex"), proofOf(hello, token, channelBinding));
}

/** The target's choice among what the hello offers. */
export const encodeWelcome = (welcome: Welcome): Buffer => encode(welcome);
export const decodeWelcome = (payload: Buffer): Welcome => decode("welcome", welcomeSchema, payload);

/** The first of the source's algorithms that we have, too. */
export function chooseAlgorithm(hello: Hello, ours: readonly string[]): string {
  const chosen = hello.algorithms.find(name => ours.includes(name));
  if (chosen !== undefined) return chosen;
  throw new Fault("unsupported", "no digest that both hosts can compute", {
    have: ours.join(" "),
    need: hello.algorithms.join(" "),
    fix: "install the same release on both hosts",
  });
}

export const encodeOpen = (open: OpenRequest): Buffer => encode(open);
export const decodeOpen = (payload: Buffer): OpenRequest => decode("open", openSchema, payload);

export function encodeError(fault: Fault): Buffer {
  const { have, need, fix } = fault.detail;
  return encode({ code: fault.code, message: fault.message.slice(0, 2000), have, need, fix });
}

/** The peer's fault as ours; a code that we do not know becomes `failed`. */
export function decodeError(payload: Buffer, peer: string): Fault {
  const { code, message, have, need, fix } = decode("error", errorSchema, payload);
  const known: FaultCode = isFaultCode(code) ? code : "failed";
  const detail = {
    ...(have === undefined ? {} : { have }),
    ...(need === undefined ? {} : { need }),
    ...(fix === undefined ? {} : { fix }),
    host: peer,
  };
  return new Fault(known, `${peer}: ${message}`, detail);
}
