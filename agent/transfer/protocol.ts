/**
 * The wire: frames of a fixed 60-byte header and a bounded payload, little endian, inside TLS 1.3.
 *
 *   magic u32 | type u8 | flags u8 | file u16 | generation u32 | length u32 | wire u32 | offset u64 | digest[32]
 *
 * `length` is the payload as it is meant, `wire` as it travels; they differ only under compression, which this
 * version refuses. A `data` frame carries at most one leaf and the digest of the *whole* leaf, so what a frame does
 * not carry of its leaf is zero. Every limit is checked before anything is allocated.
 *
 *   source                                target
 *   hello  ──────────────────────────────▶        who, which migration, epoch, files, proof of the token
 *          ◀────────────────────────────── welcome
 *   open   ──────────────────────────────▶        one per file, first connection only
 *          ◀────────── have | have-zero … ready   what is verified already (or root-ok: all of it)
 *   data | zero … seal ──────────────────▶        one segment: leaves in order, then its seal
 *          ◀──────────────── verified | resend    read back, compared, journalled
 *   done   ──────────────────────────────▶        root digest of one file
 *          ◀────────────────────────────── root-ok
 *   ping and error: either side, at any time
 */

import { Fault } from "../../proto/fault.js";

export const PROTOCOL_VERSION = 1;
export const LEAF_BYTES = 256 * 1024;
export const DIGEST_BYTES = 32;
export const HEADER_BYTES = 60;

const MAGIC = 0x31595246; // "FRY1"
const KIB = 1024;

/** The leaf was asked for again: the target clears it before it writes. */
export const FLAG_RESEND = 1;

interface FrameRow {
  readonly code: number;
  readonly limitBytes: number;
}

/** The one table of frame types; a payload longer than its row is refused from the header alone. */
const FRAMES = {
  hello: { code: 1, limitBytes: 256 * KIB },
  welcome: { code: 2, limitBytes: 0 },
  open: { code: 3, limitBytes: 4 * KIB },
  have: { code: 4, limitBytes: 128 * KIB },
  "have-zero": { code: 5, limitBytes: 8 },
  ready: { code: 6, limitBytes: 0 },
  data: { code: 7, limitBytes: LEAF_BYTES },
  zero: { code: 8, limitBytes: 8 },
  seal: { code: 9, limitBytes: 8 },
  verified: { code: 10, limitBytes: 8 },
  resend: { code: 11, limitBytes: 16 * KIB },
  done: { code: 12, limitBytes: 0 },
  "root-ok": { code: 13, limitBytes: 0 },
  error: { code: 14, limitBytes: 16 * KIB },
  ping: { code: 15, limitBytes: 0 },
  echo: { code: 16, limitBytes: 0 },
  burst: { code: 17, limitBytes: LEAF_BYTES },
} as const satisfies Record<string, FrameRow>;

export type FrameType = keyof typeof FRAMES;

export interface FrameHeader {
  readonly type: FrameType;
  readonly flags: number;
  /** Index into the file list of the hello. */
  readonly file: number;
  /** Which pass over the file; 0 in a cold copy. */
  readonly generation: number;
  readonly lengthBytes: number;
  /** Byte offset in the file. */
  readonly offset: number;
  readonly digest: Buffer;
}

export interface Frame extends FrameHeader {
  readonly payload: Buffer;
}

/** What a sender says of a frame; the rest is zero. */
export interface FrameFields {
  readonly file?: number;
  readonly offset?: number;
  readonly flags?: number;
  readonly digest?: Uint8Array;
}

const TYPE_OF_CODE = new Map<number, FrameType>(
  Object.entries(FRAMES).map(([type, row]) => [row.code, type as FrameType]),
);

const NO_DIGEST = new Uint8Array(DIGEST_BYTES);

/** A violation of the protocol: the peer is another version or broken, so trying again is of no use. */
export const protocolFault = (message: string): Fault =>
  new Fault("invalid-argument", `transfer protocol: ${message}`);

export const limitBytesOf = (type: FrameType): number => FRAMES[type].limitBytes;

/** Writes a header into the first HEADER_BYTES of `into`. */
export function encodeHeader(into: Buffer, type: FrameType, fields: FrameFields, lengthBytes: number): void {
  into.writeUInt32LE(MAGIC, 0);
  into.writeUInt8(FRAMES[type].code, 4);
  into.writeUInt8(fields.flags ?? 0, 5);
  into.writeUInt16LE(fields.file ?? 0, 6);
  into.writeUInt32LE(0, 8);
  into.writeUInt32LE(lengthBytes, 12);
  into.writeUInt32LE(lengthBytes, 16);
  into.writeBigUInt64LE(BigInt(fields.offset ?? 0), 20);
  into.set(fields.digest ?? NO_DIGEST, 28);
}

export function encodeFrame(type: FrameType, fields: FrameFields = {}, payload?: Uint8Array): Buffer {
  const length = payload?.length ?? 0;
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length);
  encodeHeader(frame, type, fields, length);
  if (payload !== undefined) frame.set(payload, HEADER_BYTES);
  return frame;
}

/** Reads and checks a complete header; throws a Fault that names what is wrong with it. */
export function decodeHeader(header: Buffer): FrameHeader {
  if (header.readUInt32LE(0) !== MAGIC) throw protocolFault("not a frame (wrong magic number)");
  const code = header.readUInt8(4);
  const type = TYPE_OF_CODE.get(code);
  if (type === undefined) throw protocolFault(`unknown frame type ${code}`);
  const flags = header.readUInt8(5);
  if ((flags & ~FLAG_RESEND) !== 0) throw protocolFault(`${type} frame with unknown flags ${flags}`);
  const lengthBytes = header.readUInt32LE(12);
  if (lengthBytes > FRAMES[type].limitBytes) {
    throw protocolFault(`${type} frame of ${lengthBytes} bytes, limit ${FRAMES[type].limitBytes}`);
  }
  if (header.readUInt32LE(16) !== lengthBytes) throw protocolFault(`${type} frame is compressed`);
  const offset = header.readBigUInt64LE(20);
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw protocolFault(`${type} frame at offset ${offset}`);
  return {
    type,
    flags,
    file: header.readUInt16LE(6),
    generation: header.readUInt32LE(8),
    lengthBytes,
    offset: Number(offset),
    digest: Buffer.from(header.subarray(28, HEADER_BYTES)),
  };
}

/** The 8-byte length that `zero`, `have-zero`, `seal` and `verified` carry. */
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
