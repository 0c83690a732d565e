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
  readonly #readsBack: boolean;
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
    this.#readsBack = readBack !== "none";
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
    fileOf(await step(), this.#fd).flushData();
    const found = new SimulatedTree(this.#verified.sizeBytes);
    if (this.#readsBack) await found.read(this.#fd, first, count, this.#isDirect);
    else for (const [leaf, digest] of expected) found.set(leaf, digest);
    const isRight = (leaf: number) => {
      const digest = expected.get(leaf);
      return digest === undefined ? found.stateOf(leaf) !== "data" : found.digestsOf(leaf, 1).equals(digest);
    };
    const wrong: number[] = [];
    for (let leaf = first, run = 1; leaf < first + count; leaf += run) {
      run = expected.has(leaf) || !isRight(leaf) ? 1 : found.runFrom(leaf, first + count - leaf);
      if (isRight(leaf)) await this.#append(leaf, run, expected.get(leaf));
      else wrong.push(leaf);
    }
    fileOf(await step(), this.#journalFd).flushData();
    return wrong;
  }

  async #clear(first: number, count: number, expected: ReadonlyMap<number, Buffer>): Promise<void> {
    for (let leaf = first; leaf < first + count; leaf += 1) {
      if (expected.has(leaf)) continue;
      const length = Math.min(LEAF_BYTES, this.#verified.sizeBytes - leaf * LEAF_BYTES);
      fileOf(await step(), this.#fd).write(Buffer.alloc(length), leaf * LEAF_BYTES);
    }
  }

  /** One leaf of data, or a run of zeros. */
  async #append(leaf: number, count: number, digest: Buffer | undefined): Promise<void> {
    const body = digest ?? Buffer.alloc(0);
    const record = Buffer.alloc(13 + body.length + 4);
    record.writeUInt8(digest === undefined ? RECORD.zero : RECORD.data, 0);
    record.writeUInt32LE(leaf, 1);
    record.writeUInt32LE(count, 5);
    record.writeUInt32LE(body.length, 9);
    body.copy(record, 13);
    record.writeUInt32LE(crc32(record.subarray(0, 13 + body.length)), 13 + body.length);
    fileOf(await step(), this.#journalFd).write(record, this.#journalEnd);
    this.#journalEnd += record.length;
    if (digest === undefined) this.#verified.setZero(leaf, count);
    else this.#verified.set(leaf, digest);
  }
}

class TokenBucket {
  setRate(): void {}
}

export const nativeEngine = (): Engine =>
  ({ algorithms: ["sha256"], compressions: [], Part: SimulatedPart, TokenBucket }) as unknown as Engine;
