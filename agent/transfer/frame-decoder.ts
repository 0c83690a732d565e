/**
 * Bytes to frames, incrementally: any split of the stream gives the same frames.
 *
 * Pure. Holds at most one header and one payload, whose size was checked against its type's limit before it was
 * allocated. Throws nothing but a Fault; after a throw the stream is lost and the decoder must not be used again.
 */

import { Fault } from "../../proto/fault.js";
import { decodeHeader, type Frame, type FrameHeader, HEADER_BYTES } from "./protocol.js";

export class FrameDecoder {
  readonly #allocate: (sizeBytes: number) => Buffer;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFilled = 0;
  #pending: { readonly header: FrameHeader; readonly payload: Buffer } | undefined;
  #payloadFilled = 0;

  /** `allocate` gives the buffer of one payload, exactly as long as asked for. */
  constructor(allocate: (sizeBytes: number) => Buffer = Buffer.allocUnsafe) {
    this.#allocate = allocate;
  }

  /** Bytes held back because their frame is not complete. */
  get bufferedBytes(): number {
    return this.#headerFilled + this.#payloadFilled;
  }

  /** Frames completed by this chunk; iterate to the end, what is not iterated is lost. */
  *push(chunk: Buffer): Generator<Frame> {
    let at = 0;
    while (at < chunk.length) {
      at += this.#pending === undefined ? this.#takeHeader(chunk, at) : this.#takePayload(chunk, at);
      const frame = this.#complete();
      if (frame !== undefined) yield frame;
    }
  }

  /** The stream ended: a Fault if it did so within a frame. */
  end(): void {
    if (this.bufferedBytes > 0) throw new Fault("unreachable", "connection ended in the middle of a frame");
  }

  #takeHeader(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#header, this.#headerFilled, at);
    this.#headerFilled += taken;
    if (this.#headerFilled === HEADER_BYTES) {
      const header = decodeHeader(this.#header);
      this.#pending = { header, payload: this.#allocate(header.lengthBytes) };
    }
    return taken;
  }

  #takePayload(chunk: Buffer, at: number): number {
    if (this.#pending === undefined) return 0;
    const taken = chunk.copy(this.#pending.payload, this.#payloadFilled, at);
    this.#payloadFilled += taken;
    return taken;
  }

  #complete(): Frame | undefined {
    if (this.#pending === undefined || this.#payloadFilled < this.#pending.header.lengthBytes)
      return undefined;
    const frame: Frame = { ...this.#pending.header, payload: this.#pending.payload };
    this.#pending = undefined;
    this.#headerFilled = 0;
    this.#payloadFilled = 0;
    return frame;
  }
}
