/**
 * One connection between two agents, the same on both sides: control frames by name, and the engine's bulk calls.
 *
 * Promises: a peer that sends nothing for `idleMs` while we listen is `timeout`; each side pings often enough that a
 * healthy one never is; the first failure is the failure of every later call; nothing waits for ever and nothing is sent
 * after a failure.
 */

import { asFault, Fault } from "../../proto/fault.js";
import type {
  CompressionPolicy,
  Connection,
  PartTable,
  RawFrame,
  RawTap,
  SegmentQueue,
  TokenBucket,
} from "../os/engine.js";
import { ConnectionLost, engineFault, type FileAt } from "./engine-fault.js";
import { encodeError } from "./messages.js";
import { codeOf, DIGEST_BYTES, type Frame, type FrameFields, type FrameType, typeOf } from "./protocol.js";

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

/** After a refusal we keep reading for this long, so that the error frame is not lost to a reset. */
const LINGER_MS = 2000;

const NO_DIGEST = new Uint8Array(DIGEST_BYTES);
const NO_PAYLOAD = new Uint8Array(0);
const NO_FILES: FileAt = index => ({ id: `file ${index}`, path: "" });

export class Link {
  peer: string;
  readonly #connection: Connection;
  readonly #idleMs: number;
  readonly #pulse: NodeJS.Timeout;
  #failure: Fault | undefined;
  #isOver = false;

  constructor(connection: Connection, options: LinkOptions) {
    this.peer = options.peer;
    this.#connection = connection;
    this.#idleMs = options.idleMs;
    connection.setTaps(rawTap(options.tapOutgoing), rawTap(options.tapIncoming));
    this.#pulse = setInterval(() => this.#checkPulse(), Math.max(20, options.idleMs / 4));
    this.#pulse.unref();
  }

  get sentBytes(): number {
    return this.#connection.sentBytes;
  }

  get receivedBytes(): number {
    return this.#connection.receivedBytes;
  }

  channelBinding(): Promise<Buffer> {
    return this.#guard(this.#connection.channelBinding());
  }

  /** The next frame, or undefined when the peer closed in good order. */
  async next(): Promise<Frame | undefined> {
    return frameOf(await this.#guard(this.#connection.receive()));
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

  /** Takes data into the parts until another frame comes; undefined when the peer closed in good order. */
  async serve(parts: PartTable, fileAt: FileAt): Promise<Frame | undefined> {
    return frameOf(await this.#guard(this.#connection.serveParts(parts), "write", fileAt));
  }

  /** Sends segments until the queue is empty and every verdict is in. */
  sendSegments(
    queue: SegmentQueue,
    limits: readonly TokenBucket[],
    compression: CompressionPolicy,
    fileAt: FileAt,
  ): Promise<void> {
    return this.#guard(this.#connection.sendSegments(queue, limits, compression), "read", fileAt);
  }

  /** Compressed data is taken from now on; otherwise it is a breach of the protocol. */
  allowCompression(): void {
    this.#connection.allowCompression();
  }

  send(type: FrameType, fields: FrameFields = {}, payload: Uint8Array = NO_PAYLOAD): Promise<void> {
    const { flags = 0, file = 0, offset = 0, digest = NO_DIGEST } = fields;
    return this.#guard(this.#connection.send(codeOf(type), flags, file, offset, digest, payload));
  }

  /** Tells the peer why and ends; the connection is gone for good after at most LINGER_MS. */
  refuse(fault: Fault): void {
    if (this.#isOver) return;
    this.#end(fault);
    void this.#connection.refuse(encodeError(fault), LINGER_MS);
  }

  /** Ends in good order. */
  close(): void {
    if (this.#isOver) return;
    this.#end(undefined);
    void this.#connection.finish();
  }

  /** Drops the connection; everything that waits on it fails with this fault. */
  drop(fault: Fault): void {
    if (this.#isOver) return;
    this.#end(fault);
    this.#connection.sever();
  }

  #end(fault: Fault | undefined): void {
    this.#failure ??= fault;
    this.#isOver = true;
    clearInterval(this.#pulse);
  }

  async #guard<T>(call: Promise<T>, verb: "read" | "write" = "read", fileAt = NO_FILES): Promise<T> {
    try {
      return await call;
    } catch (thrown) {
      const ended = new ConnectionLost("unreachable", `the connection to ${this.peer} was ended`);
      this.#failure ??= engineFault(thrown, this.peer, verb, fileAt) ?? ended;
      throw this.#failure;
    }
  }

  #checkPulse(): void {
    const { silentMs, sentAgoMs } = this.#connection;
    if (silentMs > this.#idleMs) {
      this.drop(new ConnectionLost("timeout", `${this.peer} sent nothing for ${silentMs} ms`));
    } else if (sentAgoMs > this.#idleMs / 4) {
      this.#connection.ping().catch(thrown => this.drop(asFault(thrown)));
    }
  }
}

function frameOf(raw: RawFrame | undefined): Frame | undefined {
  return raw === undefined ? undefined : { ...raw, type: typeOf(raw.type) };
}

function rawTap(tap: FrameTap | undefined): RawTap | undefined {
  return tap && (frame => tap(typeOf(frame.type), frame, frame.payload));
}
