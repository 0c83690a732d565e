/** Frames as they are on the wire, also such as no honest peer sends (native/src/transfer/frame.h). */

export interface Header {
  readonly magic?: number;
  readonly type: number;
  readonly flags?: number;
  readonly file?: number;
  readonly length?: number;
  readonly wire?: number;
  readonly offset?: bigint;
}

export function headerOf({
  magic = 0x31595246,
  type,
  flags = 0,
  file = 0,
  length = 0,
  wire = length,
  offset = 0n,
}: Header): Buffer {
  const header = Buffer.alloc(60);
  header.writeUInt32LE(magic, 0);
  header.writeUInt8(type, 4);
  header.writeUInt8(flags, 5);
  header.writeUInt16LE(file, 6);
  header.writeUInt32LE(length, 12);
  header.writeUInt32LE(wire, 16);
  header.writeBigUInt64LE(offset, 20);
  return header;
}

export const frameOf = (header: Header, payload: Buffer = Buffer.alloc(0)): Buffer =>
  Buffer.concat([headerOf({ ...header, length: payload.length }), payload]);
