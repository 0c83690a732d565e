/**
 * Reads runs of leaves at the source: four leaves a call, digested off the JavaScript thread, zeros recognised.
 *
 * Two blocks of buffers alternate, so that one is read and digested while the other is sent: 2 MiB per connection,
 * whatever the size of the file. Each leaf's buffer has room before it for a frame header.
 */

import { webcrypto } from "node:crypto";
import { Fault } from "../../proto/fault.js";
import type { Files } from "../os/files.js";
import { leafBytesAt } from "./digest-tree.js";
import { readFullVector } from "./fd-io.js";
import { fileFault } from "./file-fault.js";
import type { OpenedFile } from "./outgoing-file.js";
import { HEADER_BYTES, LEAF_BYTES } from "./protocol.js";
import type { LeafRange } from "./read-back.js";

const BLOCK_LEAVES = 4;
/** Zeros at both ends of a leaf are not sent, at this grain. */
const TRIM_BYTES = 4096;

export interface ReadLeaf {
  readonly leaf: number;
  readonly sizeBytes: number;
  /** Undefined when every byte is zero. */
  readonly digest: Buffer | undefined;
  /** The leaf's bytes that have to be sent are [start, end) of this buffer; HEADER_BYTES before `start` are free. */
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

export class LeafReader {
  readonly #files: Files;
  readonly #blocks = [newBlock(), newBlock()] as const;

  constructor(files: Files) {
    this.#files = files;
  }

  /** Blocks of leaves in order. A block's buffers may be used until the next but one is asked for. */
  async *read(file: OpenedFile, { first, count }: LeafRange): AsyncGenerator<readonly ReadLeaf[]> {
    let ahead = this.#load(file, first, Math.min(BLOCK_LEAVES, count), 0);
    let turn = 0;
    try {
      for (let done = 0; done < count; done += BLOCK_LEAVES) {
        const leaves = await ahead;
        const next = done + BLOCK_LEAVES;
        turn = 1 - turn;
        if (next < count) ahead = this.#load(file, first + next, Math.min(BLOCK_LEAVES, count - next), turn);
        yield leaves;
      }
    } finally {
      await ahead.catch(() => {}); // the buffers are free only when nothing reads into them any more
    }
  }

  async #load(file: OpenedFile, first: number, count: number, turn: number): Promise<ReadLeaf[]> {
    const buffers: Buffer[] = [];
    for (let index = 0; index < count; index += 1) {
      const slot = this.#blocks[turn === 0 ? 0 : 1][index];
      if (slot === undefined) break;
      const size = leafBytesAt(first + index, file.sizeBytes);
      buffers.push(slot.subarray(0, HEADER_BYTES + size));
    }
    await readExactly(file, buffers, first);
    return await Promise.all(buffers.map((buffer, index) => this.#examine(first + index, buffer)));
  }

  async #examine(leaf: number, buffer: Buffer): Promise<ReadLeaf> {
    const bytes = buffer.subarray(HEADER_BYTES);
    const whole = { leaf, sizeBytes: bytes.length, buffer };
    if (this.#files.isZero(bytes))
      return { ...whole, digest: undefined, start: HEADER_BYTES, end: HEADER_BYTES };
    const digest = Buffer.from(await webcrypto.subtle.digest("SHA-256", bytes));
    let start = 0;
    while (this.#files.isZero(bytes.subarray(start, start + TRIM_BYTES))) start += TRIM_BYTES;
    let end = bytes.length;
    while (this.#files.isZero(bytes.subarray(Math.max(start, end - TRIM_BYTES), end))) end -= TRIM_BYTES;
    return { ...whole, digest, start: HEADER_BYTES + start, end: HEADER_BYTES + end };
  }
}

const newBlock = (): readonly Buffer[] =>
  Array.from({ length: BLOCK_LEAVES }, () => Buffer.allocUnsafeSlow(HEADER_BYTES + LEAF_BYTES));

async function readExactly(file: OpenedFile, buffers: readonly Buffer[], first: number): Promise<void> {
  const into = buffers.map(buffer => buffer.subarray(HEADER_BYTES));
  const offset = first * LEAF_BYTES;
  const wanted = into.reduce((sum, buffer) => sum + buffer.length, 0);
  const got = await readFullVector(file.fd, into, offset).catch((thrown: unknown) => {
    throw fileFault(thrown, `read ${file.id} at offset ${offset} of ${file.path}`);
  });
  if (got === wanted) return;
  throw new Fault("conflict", `${file.id} at ${file.path} shrank while it was copied`, {
    have: `${offset + got} bytes`,
    need: `${file.sizeBytes} bytes`,
  });
}
