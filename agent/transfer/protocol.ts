/**
 * Who says what, in which frame. The frames themselves (a fixed 60-byte header and a bounded payload, inside TLS 1.3) are
 * encoded and checked by the engine: native/src/transfer/frame.h. A leaf has 256 KiB.
 *
 *   source                                target
 *   hello  ──────────────────────────────▶        who, which migration, epoch, files, digests, proof of the token
 *          ◀────────────────────────────── welcome   the digest that both compute, and whether data is compressed
 *   open   ──────────────────────────────▶        one per file, first connection only
 *          ◀────────── have | have-zero … ready   what is verified already (or root-ok: all of it)
 *   data | zero | same … seal ───────────▶        one segment: leaves in order, then its seal
 *          ◀──────────────── verified | resend    read back, compared, journalled
 *   done   ──────────────────────────────▶        root digest of one file
 *          ◀────────────────────────────── root-ok
 *   ping and error: either side, at any time; echo, burst: a probe of the path
 *
 * `have` with FLAG_COMPARE tells of an older source: the source reads its leaves, and says `same` where they are equal.
 */

import { Fault } from "../../proto/fault.js";

export const PROTOCOL_VERSION = 3;
export const LEAF_BYTES = 256 * 1024;
export const DIGEST_BYTES = 32;

/** Said of what the target has of an older source. */
export const FLAG_COMPARE = 2;

/** By the numbers that travel. */
const FRAME_TYPES = [
  "",
  "hello",
  "welcome",
  "open",
  "have",
  "have-zero",
  "ready",
  "data",
  "zero",
  "seal",
  "verified",
  "resend",
  "done",
  "root-ok",
  "error",
  "ping",
  "echo",
  "burst",
  "same",
] as const;

export type FrameType = Exclude<(typeof FRAME_TYPES)[number], "">;

export interface Frame {
  readonly type: FrameType;
  readonly flags: number;
  /** Index into the file list of the hello. */
  readonly file: number;
  /** Byte offset in the file. */
  readonly offset: number;
  readonly digest: Buffer;
  readonly payload: Buffer;
}

/** What a sender says of a frame; the rest is zero. */
export interface FrameFields {
  readonly file?: number;
  readonly offset?: number;
  readonly flags?: number;
  readonly digest?: Uint8Array;
}

export const codeOf = (type: FrameType): number => FRAME_TYPES.indexOf(type);

export function typeOf(code: number): FrameType {
  const type = FRAME_TYPES[code];
  if (type === undefined || type === "") throw protocolFault(`unknown frame type ${code}`);
  return type;
}

/** A violation of the protocol: the peer is another version or broken, so trying again is of no use. */
export const protocolFault = (message: string): Fault =>
  new Fault("invalid-argument", `transfer protocol: ${message}`);

/** The 8-byte length that `have-zero` and `seal` carry. */
export function encodeLength(lengthBytes: number): Buffer {
  const payload = Buffer.allocUnsafe(8);
  payload.writeBigUInt64LE(BigInt(lengthBytes));
  return payload;
}

export function decodeLength(frame: Frame): number {
  if (frame.payload.length !== 8) throw protocolFault(`${frame.type} frame without a length`);
  const length = frame.payload.readBigUInt64LE(0);
  if (length > BigInt(Number.MAX_SAFE_INTEGER))
    throw protocolFault(`${frame.type} frame over ${length} bytes`);
  return Number(length);
}
