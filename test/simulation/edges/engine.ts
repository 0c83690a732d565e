/**
 * Stands for `agent/os/engine.ts`: no sockets and no threads. Of a part there is what the data port of the simulation calls:
 * written, flushed, read back, compared and journalled, in the engine's own order, on the simulated machine's disk.
 */

import { crc32 } from "node:zlib";
import type { Engine } from "../../../agent/os/engine.js";
import type { DigestTree } from "../../../agent/os/files.js";
import { step } from "../world/process.js";
import { SimulatedTree } from "./digest-tree.js";
import { fileOf } from "./file-calls.js";

export type * from "../../../agent/os/engine.js";

const LEAF_BYTES = 256 * 1024;
const RECORD = { data: 2, zero: 3 } as const;

export class SimulatedPart {
  readonly #fd: number;
  readonly #journalFd: number;
  readonly #verified: DigestTree;
  readonly #holdsOlder: boolean;
  readonly #isDirect: boolean;
  #journalEnd: number;
  #doneBytes = 0;

  constructor(
    fd: number,
    journalFd: number,
    journalEnd: number,
    verified: DigestTree,
    older: DigestTree | undefined,
    readBack: string,
  ) {
    this.#fd = fd;
    this.#journalFd = journalFd;
    this.#journalEnd = journalEnd;
    this.#verified = verified;
    this.#holdsOlder = older !== undefined;
    this.#isDirect = readBack === "direct";
  }

  counts(): Float64Array {
    return Float64Array.of(this.#doneBytes, 0, 0);
  }

  async write(leaf: number, bytes: Buffer): Promise<void> {
    fileOf(await step(), this.#fd).write(bytes, leaf * LEAF_BYTES);
    this.#doneBytes += bytes.length;
  }

  /** The leaves that are not what they should be; those that are not in `expected` should be zero. */
  async verify(first: number, count: number, expected: ReadonlyMap<number, Buffer>): Promise<number[]> {
    if (this.#holdsOlder) await this.#clear(first, count, expected);
    fileOf(await step(), this.#fd).flush();
    const found = new SimulatedTree(this.#verified.sizeBytes);
    await found.read(this.#fd, first, count, this.#isDirect);
    const leaves = Array.from({ length: count }, (_, at) => first + at);
    const zero = Buffer.alloc(32);
    const wrong = leaves.filter(leaf => !found.digestsOf(leaf, 1).equals(expected.get(leaf) ?? zero));
    for (const leaf of leaves) {
      if (!wrong.includes(leaf)) await this.#append(leaf, expected.get(leaf));
    }
    fileOf(await step(), this.#journalFd).flush();
    for (const leaf of leaves) {
      if (!wrong.includes(leaf)) this.#verified.set(leaf, expected.get(leaf) ?? zero);
    }
    return wrong;
  }

  async #clear(first: number, count: number, expected: ReadonlyMap<number, Buffer>): Promise<void> {
    for (let leaf = first; leaf < first + count; leaf += 1) {
      if (expected.has(leaf)) continue;
      const length = Math.min(LEAF_BYTES, this.#verified.sizeBytes - leaf * LEAF_BYTES);
      fileOf(await step(), this.#fd).write(Buffer.alloc(length), leaf * LEAF_BYTES);
    }
  }

  async #append(leaf: number, digest: Buffer | undefined): Promise<void> {
    const body = digest ?? Buffer.alloc(0);
    const record = Buffer.alloc(13 + body.length + 4);
    record.writeUInt8(digest === undefined ? RECORD.zero : RECORD.data, 0);
    record.writeUInt32LE(leaf, 1);
    record.writeUInt32LE(1, 5);
    record.writeUInt32LE(body.length, 9);
    body.copy(record, 13);
    record.writeUInt32LE(crc32(record.subarray(0, 13 + body.length)), 13 + body.length);
    fileOf(await step(), this.#journalFd).write(record, this.#journalEnd);
    this.#journalEnd += record.length;
  }
}

class TokenBucket {
  setRate(): void {}
}

export const nativeEngine = (): Engine =>
  ({ algorithms: ["sha256"], Part: SimulatedPart, TokenBucket }) as unknown as Engine;
