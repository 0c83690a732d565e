/**
 * Bytes and numbers that look random and are the same on every machine and in every run: AES-128 in counter mode over zeros.
 */

import { type Cipheriv, createCipheriv } from "node:crypto";

const ZEROS = Buffer.alloc(1024 * 1024);

export class Pattern {
  readonly #cipher: Cipheriv;

  constructor(seed: string) {
    this.#cipher = createCipheriv("aes-128-ctr", Buffer.from(seed.padEnd(16).slice(0, 16)), Buffer.alloc(16));
  }

  /** At most 1 MiB at a time. */
  bytes(count: number): Buffer {
    return this.#cipher.update(ZEROS.subarray(0, count));
  }

  /** A whole number from 0 up to, not including, `limit`. */
  below(limit: number): number {
    return Number(this.bytes(8).readBigUInt64LE() % BigInt(limit));
  }
}
