/**
 * Stands for the engine's digest tree: the same answers, computed at once and in JavaScript, so that a simulated fleet
 * waits for no thread. SHA-256 only.
 */

import { createHash } from "node:crypto";
import type { DigestTree } from "../../../agent/os/files.js";
import { errno } from "../world/errno.js";
import { step } from "../world/process.js";
import { inodeOf } from "./file-calls.js";

const LEAF_BYTES = 256 * 1024;
const DIGEST_BYTES = 32;
const ZEROS = Buffer.alloc(LEAF_BYTES);
const NO_DIGEST = Buffer.alloc(DIGEST_BYTES);

export const isZero = (bytes: Uint8Array): boolean => {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const piece = bytes.subarray(at, at + ZEROS.length);
    if (ZEROS.compare(piece, 0, piece.length, 0, piece.length) !== 0) return false;
  }
  return true;
};

export const digestOf = (leaf: Uint8Array): Buffer =>
  isZero(leaf) ? NO_DIGEST : createHash("sha256").update(leaf).digest();

export class SimulatedTree implements DigestTree {
  readonly algorithm = "sha256";
  readonly sizeBytes: number;
  readonly leafCount: number;
  readonly #digests: (Buffer | undefined)[];

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
    this.leafCount = Math.ceil(sizeBytes / LEAF_BYTES);
    this.#digests = Array.from({ length: this.leafCount });
  }

  get isComplete(): boolean {
    return this.#digests.every(digest => digest !== undefined);
  }

  get dataBytes(): number {
    return this.#digests.reduce(
      (sum, _, leaf) => (this.stateOf(leaf) === "data" ? sum + this.#bytesOf(leaf) : sum),
      0,
    );
  }

  stateOf(leaf: number): ReturnType<DigestTree["stateOf"]> {
    const digest = this.#digests[leaf];
    if (digest === undefined) return "unknown";
    return digest.equals(NO_DIGEST) ? "zero" : "data";
  }

  runFrom(first: number, limit: number): number {
    const state = this.stateOf(first);
    let count = 1;
    while (count < limit && first + count < this.leafCount && this.stateOf(first + count) === state)
      count += 1;
    return count;
  }

  digestsOf(first: number, count: number): Buffer {
    const wanted = Array.from({ length: count }, (_, at) => this.#digests[first + at] ?? NO_DIGEST);
    return Buffer.concat(wanted);
  }

  set(first: number, digests: Uint8Array): void {
    for (let at = 0; at * DIGEST_BYTES < digests.length; at += 1)
      this.#digests[first + at] = Buffer.from(digests.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES));
  }

  setZero(first: number, count: number): void {
    this.#digests.fill(NO_DIGEST, first, first + count);
  }

  root(): Buffer {
    const head = `ferry-digest-tree/1\0${this.algorithm}\0${this.sizeBytes}\0${LEAF_BYTES}\0`;
    return createHash("sha256").update(head).update(this.digestsOf(0, this.leafCount)).digest();
  }

  /** What is asked of the device past the page cache is answered from the medium. */
  async read(fd: number, first: number, count: number, direct: boolean): Promise<number> {
    const process = await step();
    process.machine.disk.requireWorking();
    const { onMedium, data, sizeBytes } = inodeOf(process, fd, "read");
    const start = first * LEAF_BYTES;
    const bytes = Buffer.alloc(Math.min(count * LEAF_BYTES, this.sizeBytes - start));
    if (start + bytes.length > sizeBytes) throw errno("ENODATA", "read");
    (direct ? onMedium : data).copy(bytes, 0, start, start + bytes.length);
    this.#hash(first, bytes);
    return bytes.length;
  }

  async hash(first: number, bytes: Uint8Array): Promise<void> {
    this.#hash(first, bytes);
  }

  #hash(first: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += LEAF_BYTES)
      this.#digests[first + at / LEAF_BYTES] = digestOf(bytes.subarray(at, at + LEAF_BYTES));
  }

  #bytesOf(leaf: number): number {
    return Math.min(LEAF_BYTES, this.sizeBytes - leaf * LEAF_BYTES);
  }
}
