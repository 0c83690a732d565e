/**
 * Reads an NBD export over a Unix socket: enough of the protocol to look at an image through QEMU's own block layer,
 * and nothing with which it could be changed.
 *
 * One request at a time. Whatever does not fit the protocol is Fault("failed").
 */

import { connect, type Socket } from "node:net";
import { Fault } from "../../proto/fault.js";

export interface NbdReader extends AsyncDisposable {
  readonly sizeBytes: number;
  /** Exactly `length` bytes at `offset`. */
  read(offset: number, length: number): Promise<Buffer>;
}

const GREETING = "NBDMAGIC";
const HAVE_OPTIONS = "IHAVEOPT";
const FIXED_NEWSTYLE_NO_ZEROES = 0b11;
const OPTION_EXPORT_NAME = 1;
const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;
const READ = 0;
const DISCONNECT = 2;
const REQUEST_BYTES = 28;
const REPLY_BYTES = 16;

export async function openNbd(socketPath: string, signal?: AbortSignal): Promise<NbdReader> {
  const socket = connect({ path: socketPath, ...(signal === undefined ? {} : { signal }) });
  const incoming = new Incoming(socket);
  const sizeBytes = await greet(socket, incoming);
  return {
    sizeBytes,
    async read(offset, length) {
      socket.write(request(READ, offset, length));
      const reply = await incoming.take(REPLY_BYTES);
      const error = reply.readUInt32BE(4);
      if (reply.readUInt32BE(0) !== REPLY_MAGIC) throw new Fault("failed", "NBD: not a reply");
      if (error !== 0) throw new Fault("failed", `NBD: read ${length} bytes at ${offset}: error ${error}`);
      return incoming.take(length);
    },
    async [Symbol.asyncDispose]() {
      if (!socket.destroyed) socket.end(request(DISCONNECT, 0, 0));
      await incoming.closed;
    },
  };
}

/** The export without a name; its size. */
async function greet(socket: Socket, incoming: Incoming): Promise<number> {
  const greeting = await incoming.take(18);
  if (greeting.toString("latin1", 0, 16) !== GREETING + HAVE_OPTIONS) {
    throw new Fault("failed", "NBD: the server does not speak newstyle");
  }
  const answer = Buffer.alloc(4 + 16);
  answer.writeUInt32BE(FIXED_NEWSTYLE_NO_ZEROES, 0);
  answer.write(HAVE_OPTIONS, 4, "latin1");
  answer.writeUInt32BE(OPTION_EXPORT_NAME, 12);
  socket.write(answer);
  const facts = await incoming.take(10);
  return Number(facts.readBigUInt64BE(0));
}

function request(type: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(REQUEST_BYTES);
  bytes.writeUInt32BE(REQUEST_MAGIC, 0);
  bytes.writeUInt16BE(type, 6);
  bytes.writeBigUInt64BE(BigInt(offset), 16);
  bytes.writeUInt32BE(length, 24);
  return bytes;
}

/** What comes in, taken in pieces of a known length. */
class Incoming {
  readonly closed: Promise<void>;
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer[] = [];
  #restBytes = 0;

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once("close", () => resolve());
    this.closed = promise;
  }

  async take(length: number): Promise<Buffer> {
    while (this.#restBytes < length) {
      const { done, value } = await this.#chunks.next();
      if (done === true) throw new Fault("failed", "NBD: the server has gone");
      this.#rest.push(value);
      this.#restBytes += value.length;
    }
    const all = Buffer.concat(this.#rest);
    this.#rest = [all.subarray(length)];
    this.#restBytes = all.length - length;
    return all.subarray(0, length);
  }
}
