/**
 * A TLS peer that seals and opens its own records, by RFC 8446 and Node's crypto: it may pad, split, repeat and damage
 * them as no TLS library would. Node's tls shakes hands for it; from then on it has the socket for itself.
 */

import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { TlsMaterial } from "../../../agent/transfer/channel.js";

export const ALERT = 21;
export const HANDSHAKE = 22;
export const DATA = 23;
const HEADER_BYTES = 5;
const TAG_BYTES = 16;

/** HKDF-Expand-Label of §7.1 for AES-128-GCM with SHA-256; one block of output is enough for all that is asked here. */
function expand(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])]);
  return createHmac("sha256", secret).update(info).digest().subarray(0, length);
}

class Direction {
  #secret: Buffer;
  #sequence = 0n;

  constructor(secret: Buffer) {
    this.#secret = secret;
  }

  /** The key, and the nonce of the next record. */
  next(): [Buffer, Buffer] {
    const nonce = expand(this.#secret, "iv", 12);
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ this.#sequence, 4);
    this.#sequence += 1n;
    return [expand(this.#secret, "key", 16), nonce];
  }

  update(): void {
    this.#secret = expand(this.#secret, "traffic upd", 32);
    this.#sequence = 0n;
  }
}

export interface OpenedRecord {
  readonly type: number;
  readonly content: Buffer;
}

export class RecordPeer {
  readonly #socket: Socket;
  readonly #sending: Direction;
  readonly #receiving: Direction;
  #received = Buffer.alloc(0);
  #notice = () => {};

  private constructor(socket: Socket, [client, server]: readonly Buffer[]) {
    this.#socket = socket;
    this.#sending = new Direction(client as Buffer);
    this.#receiving = new Direction(server as Buffer);
    socket
      .on("data", chunk => {
        this.#received = Buffer.concat([this.#received, chunk]);
        this.#notice();
      })
      .on("close", () => this.#notice());
  }

  /** Shakes hands with a server that says nothing of itself afterwards. */
  static async connect(port: number, material: TlsMaterial): Promise<RecordPeer> {
    const socket = connectTcp(port, "127.0.0.1").on("error", () => {});
    await once(socket, "connect");
    const bridge = new Duplex({
      read: () => {},
      write: (chunk, _, done) => void socket.write(chunk, () => done()),
    });
    const forward = (chunk: Buffer) => void bridge.push(chunk);
    socket.on("data", forward);
    const secrets: Buffer[] = [];
    const tls = connectTls({
      ...material,
      socket: bridge,
      ciphers: "TLS_AES_128_GCM_SHA256",
      checkServerIdentity: () => undefined,
    });
    tls
      .on("error", () => {})
      .on("keylog", line => {
        const [label, , secret] = line.toString().trim().split(" ");
        if (label === "CLIENT_TRAFFIC_SECRET_0") secrets[0] = Buffer.from(String(secret), "hex");
        if (label === "SERVER_TRAFFIC_SECRET_0") secrets[1] = Buffer.from(String(secret), "hex");
      });
    await once(tls, "secureConnect");
    socket.off("data", forward);
    return new RecordPeer(socket, secrets);
  }

  /** The next record of this direction; that it is sent is the caller's choice. */
  seal(type: number, content: Buffer, padding = 0): Buffer {
    const inner = Buffer.concat([content, Buffer.from([type]), Buffer.alloc(padding)]);
    const header = Buffer.from([DATA, 3, 3, 0, 0]);
    header.writeUInt16BE(inner.length + TAG_BYTES, 3);
    const cipher = createCipheriv("aes-128-gcm", ...this.#sending.next()).setAAD(header);
    return Buffer.concat([header, cipher.update(inner), cipher.final(), cipher.getAuthTag()]);
  }

  /** Seals a key update, and has the next key from then on. */
  sealKeyUpdate(isRequest: boolean): Buffer {
    const record = this.seal(HANDSHAKE, Buffer.from([24, 0, 0, 1, isRequest ? 1 : 0]));
    this.#sending.update();
    return record;
  }

  send(...records: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat(records));
  }

  end(...records: readonly Buffer[]): void {
    this.#socket.end(Buffer.concat(records));
  }

  /** The next record of the server; a key update of its is obeyed. */
  async receive(): Promise<OpenedRecord> {
    const record = await this.#take();
    const [header, body] = [record.subarray(0, HEADER_BYTES), record.subarray(HEADER_BYTES)];
    const decipher = createDecipheriv("aes-128-gcm", ...this.#receiving.next())
      .setAAD(header)
      .setAuthTag(body.subarray(-TAG_BYTES));
    const inner = Buffer.concat([decipher.update(body.subarray(0, -TAG_BYTES)), decipher.final()]);
    const content = inner.subarray(0, -1);
    const type = inner.at(-1) as number;
    if (type === HANDSHAKE && content[0] === 24) this.#receiving.update();
    return { type, content };
  }

  close(): void {
    this.#socket.destroy();
  }

  async #take(): Promise<Buffer> {
    const isWhole = () =>
      this.#received.length >= HEADER_BYTES &&
      this.#received.length >= HEADER_BYTES + this.#received.readUInt16BE(3);
    while (!isWhole()) {
      if (this.#socket.destroyed) throw new Error("the server has closed");
      await new Promise<void>(resolve => {
        this.#notice = resolve;
      });
    }
    const size = HEADER_BYTES + this.#received.readUInt16BE(3);
    const record = this.#received.subarray(0, size);
    this.#received = this.#received.subarray(size);
    return record;
  }
}
