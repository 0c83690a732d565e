/** The frame parser against everything that can come out of a socket. */

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameDecoder } from "../../../agent/transfer/frame-decoder.js";
import {
  encodeFrame,
  type Frame,
  type FrameType,
  HEADER_BYTES,
  LEAF_BYTES,
  limitBytesOf,
} from "../../../agent/transfer/protocol.js";
import { Fault } from "../../../proto/fault.js";

const TYPES: readonly FrameType[] = [
  "hello",
  "have",
  "data",
  "zero",
  "seal",
  "resend",
  "done",
  "error",
  "ping",
];

const frames = fc.array(
  fc.record({
    type: fc.constantFrom(...TYPES),
    file: fc.nat(65_535),
    offset: fc.maxSafeNat(),
    digest: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    payload: fc.uint8Array({ maxLength: 64 }),
  }),
  { maxLength: 12 },
);

const encodeAll = (list: readonly { type: FrameType; payload: Uint8Array }[]): Buffer =>
  Buffer.concat(
    list.map(({ type, payload, ...fields }) =>
      encodeFrame(type, fields, payload.subarray(0, limitBytesOf(type))),
    ),
  );

/** Cuts a buffer at these places, wherever they fall. */
function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = cuts.map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b);
  return [...places, bytes.length].map((end, index) => bytes.subarray(places[index - 1] ?? 0, end));
}

function decodeAll(chunks: readonly Buffer[]): Frame[] {
  const decoder = new FrameDecoder();
  return chunks.flatMap(chunk => [...decoder.push(chunk)]);
}

describe("the frame decoder", () => {
  it("gives back what was encoded, however the stream is split", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat()), (list, cuts) => {
        const bytes = encodeAll(list);
        const whole = decodeAll([bytes]);
        expect(decodeAll(split(bytes, cuts))).toEqual(whole);
        expect(whole.map(({ type, file, offset }) => ({ type, file, offset }))).toEqual(
          list.map(({ type, file, offset }) => ({ type, file, offset })),
        );
      }),
    );
  });

  it("answers arbitrary bytes with frames or a Fault, and holds back no more than a frame", () => {
    const limit = HEADER_BYTES + LEAF_BYTES;
    const noise = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(frames, noise, fc.nat(), fc.array(fc.nat()), (list, junk, at, cuts) => {
        const valid = encodeAll(list);
        const place = at % (valid.length + 1);
        const bytes = Buffer.concat([valid.subarray(0, place), junk, valid.subarray(place)]);
        const allocated: number[] = [];
        const decoder = new FrameDecoder(size => {
          allocated.push(size);
          return Buffer.alloc(size);
        });
        try {
          for (const chunk of split(bytes, cuts)) {
            for (const frame of decoder.push(chunk))
              expect(frame.payload.length).toBeLessThanOrEqual(LEAF_BYTES);
            expect(decoder.bufferedBytes).toBeLessThanOrEqual(limit);
          }
          decoder.end();
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Fault);
        }
        expect(Math.max(0, ...allocated)).toBeLessThanOrEqual(LEAF_BYTES);
      }),
      { numRuns: 500 },
    );
  });

  it("survives any damage to a header", () => {
    const damage = fc.record({ at: fc.nat(HEADER_BYTES - 1), value: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), list => {
        const bytes = encodeFrame("data", { file: 1, offset: 0 }, Buffer.alloc(100, 1));
        for (const { at, value } of list) bytes[at] = value;
        try {
          decodeAll([bytes]);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Fault);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it.each<[string, (header: Buffer) => void, RegExp]>([
    ["another magic number", header => header.writeUInt32LE(1, 0), /magic/],
    ["an unknown type", header => header.writeUInt8(200, 4), /unknown frame type 200/],
    ["unknown flags", header => header.writeUInt8(0x82, 5), /flags/],
    ["a payload beyond the limit", header => header.writeUInt32LE(LEAF_BYTES + 1, 12), /limit/],
    ["a compressed payload", header => header.writeUInt32LE(5, 16), /compressed/],
    ["an offset beyond all files", header => header.writeBigUInt64LE(2n ** 60n, 20), /offset/],
  ])("refuses %s from the header alone", (_, damage, message) => {
    const header = encodeFrame("data", {});
    damage(header);
    const decoder = new FrameDecoder(() => {
      throw new Error("nothing may be allocated");
    });
    expect(() => [...decoder.push(header)]).toThrow(message);
  });

  it("says that a connection ended within a frame", () => {
    const decoder = new FrameDecoder();
    expect([...decoder.push(encodeFrame("data", {}, Buffer.alloc(10)).subarray(0, 65))]).toEqual([]);
    expect(() => decoder.end()).toThrow(/middle of a frame/);
  });
});
