/**
 * Stands for the engine's digest tree: the same answers, computed at once and in JavaScript, so that a simulated fleet
 * waits for no thread. SHA-256 only.
 */

import { createHash } from "node:crypto";
import type { DigestTree } from "../../../agent/os/files.js";
import { errno } from "../world/errno.js";
import { step } from "../world/process.js";
import { fileOf, inodeOf } from "./file-calls.js";

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

const padded = (bytes: Uint8Array, length: number): Uint8Array =>
  bytes.length === length ? bytes : Buffer.concat([bytes, Buffer.alloc(length - bytes.length)]);

const STATES = ["unknown", "zero", "data"] as const;
const [UNKNOWN, ZERO, DATA] = [0, 1, 2] as const;

/** Of a large disk nearly every leaf is a hole: only the others have a digest kept. */
export class SimulatedTree implements DigestTree {
  readonly algorithm = "sha256";
  readonly sizeBytes: number;
  readonly leafCount: number;
  readonly #states: Uint8Array;
  readonly #digests = new Map<number, Buffer>();

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
    this.leafCount = Math.ceil(sizeBytes / LEAF_BYTES);
    this.#states = new Uint8Array(this.leafCount);
  }

  get isComplete(): boolean {
    return !this.#states.includes(UNKNOWN);
  }

  get dataBytes(): number {
    return [...this.#digests.keys()].reduce((sum, leaf) => sum + this.#bytesOf(leaf), 0);
  }

  stateOf(leaf: number): ReturnType<DigestTree["stateOf"]> {
    return STATES[this.#states[leaf] ?? UNKNOWN] ?? "unknown";
  }

  runFrom(first: number, limit: number): number {
    const state = this.#states[first];
    const end = Math.min(first + limit, this.leafCount);
    let leaf = first + 1;
    while (leaf < end && this.#states[leaf] === state) leaf += 1;
    return leaf - first;
  }

  digestsOf(first: number, count: number): Buffer {
    const digests = Buffer.alloc(count * DIGEST_BYTES);
    for (const [leaf, digest] of this.#digests)
      if (leaf >= first && leaf < first + count) digest.copy(digests, (leaf - first) * DIGEST_BYTES);
    return digests;
  }

  set(first: number, digests: Uint8Array): void {
    for (let at = 0; at * DIGEST_BYTES < digests.length; at += 1)
      this.#mark(first + at, digests.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES));
  }

  setZero(first: number, count: number): void {
    for (const leaf of this.#digests.keys())
      if (leaf >= first && leaf < first + count) this.#digests.delete(leaf);
    this.#states.fill(ZERO, first, first + count);
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
    const end = Math.min((first + count) * LEAF_BYTES, this.sizeBytes);
    if (end > sizeBytes) throw errno("ENODATA", "read");
    const held = direct ? onMedium : data;
    this.setZero(first, count);
    for (let leaf = first; leaf * LEAF_BYTES < Math.min(held.length, end); leaf += 1) {
      const bytes = held.subarray(leaf * LEAF_BYTES, leaf * LEAF_BYTES + this.#bytesOf(leaf));
      this.#mark(leaf, digestOf(padded(bytes, this.#bytesOf(leaf))));
    }
    return end - first * LEAF_BYTES;
  }

  async copy(sourceFd: number, targetFd: number, first: number, count: number): Promise<number> {
    const length = await this.read(sourceFd, first, count, false);
    const process = await step();
    const bytes = fileOf(process, sourceFd).read(length, first * LEAF_BYTES);
    fileOf(process, targetFd).write(bytes, first * LEAF_BYTES);
    return length;
  }

  async hash(first: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += LEAF_BYTES)
      this.#mark(first + at / LEAF_BYTES, digestOf(bytes.subarray(at, at + LEAF_BYTES)));
  }

  #mark(leaf: number, digest: Uint8Array): void {
    const isData = NO_DIGEST.compare(digest) !== 0;
    this.#states[leaf] = isData ? DATA : ZERO;
    if (isData) this.#digests.set(leaf, Buffer.from(digest));
    else this.#digests.delete(leaf);
  }

  #bytesOf(leaf: number): number {
    return Math.min(LEAF_BYTES, this.sizeBytes - leaf * LEAF_BYTES);
  }
}
