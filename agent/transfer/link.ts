/**
 * One connection as a stream of frames, the same on both sides.
 *
 * Promises: a bounded number of received frames is held (the socket is not read while they wait); a peer that sends
 * nothing for `idleMs` while we listen is `timeout`; each side pings often enough that a healthy one never is; an
 * error frame of the peer becomes the fault of every later call; nothing waits for ever and nothing is sent after a failure.
 */

import type { TLSSocket } from "node:tls";
import { asFault, Fault } from "../../proto/fault.js";
import { ConnectionLost, connectionFault } from "./channel.js";
import { FrameDecoder } from "./frame-decoder.js";
import { decodeError, encodeError } from "./messages.js";
import {
  encodeFrame,
  encodeHeader,
  type Frame,
  type FrameFields,
  type FrameType,
  HEADER_BYTES,
  LEAF_BYTES,
} from "./protocol.js";

/** Sees every frame's payload before it is encrypted or after it was decrypted; may change it in place. */
export type FrameTap = (type: FrameType, fields: FrameFields, payload: Buffer) => void;

export interface LinkOptions {
  /** Name of the other side in messages; its address until it has shown who it is. */
  readonly peer: string;
  /** No bytes from the peer for this long, while we wait for some, is a timeout. */
  readonly idleMs: number;
  readonly tapOutgoing?: FrameTap | undefined;
  readonly tapIncoming?: FrameTap | undefined;
}

/** Frames received and not yet asked for; with leaves of 256 KiB this is 1 MiB per connection. */
const HELD_FRAMES = 4;
/** After a refusal we keep reading for this long, so that the error frame is not lost to a reset. */
const LINGER_MS = 2000;

export class Link {
  peer: string;
  readonly #socket: TLSSocket;
  readonly #options: LinkOptions;
  readonly #held: Frame[] = [];
  readonly #spare: Buffer[] = [];
  readonly #keepAlive: NodeJS.Timeout;
  #waiting: (() => void)[] = [];
  #failure: Fault | undefined;
  #refused = false;
  #ended = false;
  #listeningSinceMs = performance.now();
  #isListening = true;
  #lastSentMs = performance.now();
  receivedBytes = 0;
  sentBytes = 0;

  constructor(socket: TLSSocket, options: LinkOptions) {
    this.peer = options.peer;
    this.#socket = socket;
    this.#options = options;
    socket.on("error", thrown => this.#lose(connectionFault(thrown, `connection to ${this.peer}`)));
    this.#keepAlive = setInterval(() => this.#checkPulse(), Math.max(20, options.idleMs / 4));
    this.#keepAlive.unref();
    void this.#pump();
  }

  /** The next frame, or undefined when the peer closed in good order. */
  async next(): Promise<Frame | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const frame = this.#held.shift();
      if (frame !== undefined) {
        this.#wake();
        return frame;
      }
      if (this.#ended) return undefined;
      await this.#change();
    }
  }

  /** The next frame, which must be there and of one of these types. */
  async expect(...types: readonly FrameType[]): Promise<Frame> {
    const frame = await this.next();
    if (frame === undefined) throw new ConnectionLost("unreachable", `${this.peer} closed the connection`);
    if (types.includes(frame.type)) return frame;
    throw new Fault(
      "invalid-argument",
      `${this.peer} sent ${frame.type} where ${types.join(" or ")} belongs`,
    );
  }

  /** Gives a leaf's buffer back for the next one; the frame must not be looked at afterwards. */
  recycle(frame: Frame): void {
    const isLeaf = frame.payload.length === LEAF_BYTES;
    if (isLeaf && this.#spare.length < HELD_FRAMES) this.#spare.push(frame.payload);
  }

  send(type: FrameType, fields: FrameFields = {}, payload?: Uint8Array): Promise<void> {
    const frame = encodeFrame(type, fields, payload);
    this.#options.tapOutgoing?.(type, fields, frame.subarray(HEADER_BYTES));
    return this.#write(frame);
  }

  /**
   * Sends bytes [start, end) of `buffer` without copying: the header is written over the HEADER_BYTES before
   * `start`. Resolves when the buffer may be used again.
   */
  sendInPlace(
    type: FrameType,
    fields: FrameFields,
    buffer: Buffer,
    start: number,
    end: number,
  ): Promise<void> {
    encodeHeader(buffer.subarray(start - HEADER_BYTES, start), type, fields, end - start);
    this.#options.tapOutgoing?.(type, fields, buffer.subarray(start, end));
    return this.#write(buffer.subarray(start - HEADER_BYTES, end));
  }

  /** Tells the peer why and ends; the connection is gone for good after at most LINGER_MS. */
  refuse(fault: Fault): void {
    if (this.#failure !== undefined) return;
    this.#refused = true;
    if (!this.#socket.destroyed) this.#socket.end(encodeFrame("error", {}, encodeError(fault)));
    this.#fail(fault);
    const linger = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    linger.unref();
    this.#socket.once("close", () => clearTimeout(linger));
  }

  /** Ends in good order, or at once when something already failed. */
  close(): void {
    clearInterval(this.#keepAlive);
    if (this.#refused) return;
    if (this.#failure === undefined) this.#socket.end();
    else this.#socket.destroy();
  }

  /** Drops the connection; everything that waits on it fails with this fault. */
  drop(fault: Fault): void {
    this.#lose(fault);
  }

  #write(bytes: Buffer): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#lastSentMs = performance.now();
    this.sentBytes += bytes.length;
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, error => {
        if (error === null || error === undefined) resolve();
        else reject(this.#failure ?? connectionFault(error, `send to ${this.peer}`));
      });
    });
  }

  async #pump(): Promise<void> {
    const decoder = new FrameDecoder(size => this.#allocate(size));
    try {
      const chunks: AsyncIterable<Buffer> = this.#socket.iterator({ destroyOnReturn: false });
      for await (const chunk of chunks) {
        this.receivedBytes += chunk.length;
        this.#listeningSinceMs = performance.now();
        if (this.#refused) continue;
        for (const frame of decoder.push(chunk)) await this.#receive(frame);
      }
      decoder.end();
      this.#ended = true;
      this.#wake();
    } catch (thrown) {
      this.#onPumpFailure(thrown);
    }
  }

  /** A malformed stream is told to the peer; a lost one has nobody to tell. */
  #onPumpFailure(thrown: unknown): void {
    const fault = connectionFault(thrown, `connection to ${this.peer}`);
    if (fault.isUnknown) this.#lose(new ConnectionLost(fault.code, fault.message, {}, { cause: fault }));
    else this.refuse(fault);
    this.#socket.resume();
  }

  async #receive(frame: Frame): Promise<void> {
    this.#options.tapIncoming?.(frame.type, frame, frame.payload);
    if (frame.type === "ping") return;
    if (frame.type === "error") {
      this.#lose(decodeError(frame.payload, this.peer));
      return;
    }
    if (this.#failure !== undefined) return;
    this.#held.push(frame);
    this.#wake();
    while (this.#held.length >= HELD_FRAMES && this.#failure === undefined) {
      this.#isListening = false;
      await this.#change();
    }
    this.#isListening = true;
    this.#listeningSinceMs = performance.now();
  }

  #allocate(sizeBytes: number): Buffer {
    const spare = sizeBytes === LEAF_BYTES ? this.#spare.pop() : undefined;
    return spare ?? Buffer.allocUnsafeSlow(sizeBytes);
  }

  #checkPulse(): void {
    const nowMs = performance.now();
    const silentMs = nowMs - this.#listeningSinceMs;
    if (this.#isListening && !this.#ended && silentMs > this.#options.idleMs) {
      this.#lose(new ConnectionLost("timeout", `${this.peer} sent nothing for ${Math.round(silentMs)} ms`));
    } else if (nowMs - this.#lastSentMs > this.#options.idleMs / 4 && this.#socket.writableLength === 0) {
      this.#write(encodeFrame("ping")).catch(thrown => this.#lose(asFault(thrown)));
    }
  }

  #lose(fault: Fault): void {
    this.#fail(fault);
    if (!this.#refused) this.#socket.destroy();
  }

  #fail(fault: Fault): void {
    this.#failure ??= fault;
    clearInterval(this.#keepAlive);
    this.#wake();
  }

  /** Resolves at the next change of the queue or the state. */
  #change(): Promise<void> {
    return new Promise(resolve => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
