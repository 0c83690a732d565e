/**
 * What the target of a copy has verified, read without Ferry from the journals beside its part files: which leaves, and
 * how often each. A hard link keeps a journal, with all that was ever appended to it, when the target is done with it.
 *
 *   kind u8 | first leaf u32 | leaf count u32 | body bytes u32 | body | crc u32       (1 header, 2 data, 3 zero, 4 complete)
 */

import assert from "node:assert/strict";
import { link, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { IMAGE_DIR } from "../guest.js";
import type { Host, Lab } from "../lab.js";

const LEAF_BYTES = 256 * 1024;
const HEAD_BYTES = 13;
const CRC_BYTES = 4;
const KIND = { header: 1, data: 2, complete: 4 } as const;

interface JournalRecord {
  readonly kind: number;
  readonly first: number;
  readonly count: number;
  readonly body: Buffer;
}

export class PartJournals {
  readonly #folder: string;
  readonly #kept: string;
  readonly #suffix: string;
  /** By name, as last seen. */
  readonly #contents = new Map<string, Buffer>();

  constructor(lab: Lab, target: Host, migrationId: string) {
    this.#folder = lab.path(target, IMAGE_DIR);
    // The same file system, and no folder of images.
    this.#kept = join(lab.directory, target, `journals-${migrationId}`);
    this.#suffix = `.part-${migrationId}.journal`;
  }

  /** Bytes of verified leaves that hold data; throws when something that was verified before is no longer so. */
  async verifiedBytes(): Promise<number> {
    await this.#look();
    return [...this.#contents.values()].reduce((sum, bytes) => sum + dataBytesOf(recordsOf(bytes)), 0);
  }

  /** Leaves that were taken more than once. */
  async takenTwice(): Promise<string[]> {
    await this.#look();
    return [...this.#contents].flatMap(([name, bytes]) =>
      repeatedIn(recordsOf(bytes)).map(leaf => `${name}: leaf ${leaf}`),
    );
  }

  async #look(): Promise<void> {
    await mkdir(this.#kept, { recursive: true });
    const kept = await readdir(this.#kept);
    const fresh = (await readdir(this.#folder)).filter(
      name => name.endsWith(this.#suffix) && !kept.includes(name),
    );
    for (const name of fresh) await link(join(this.#folder, name), join(this.#kept, name));
    for (const name of [...kept, ...fresh]) {
      const bytes = await readFile(join(this.#kept, name));
      const before = wholeRecords(this.#contents.get(name) ?? Buffer.alloc(0));
      assert(bytes.subarray(0, before.length).equals(before), `${name} has forgotten what was verified`);
      this.#contents.set(name, bytes);
    }
  }
}

function* recordsOf(bytes: Buffer): Generator<JournalRecord> {
  for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
    const bodyBytes = bytes.readUInt32LE(at + 9);
    const end = at + HEAD_BYTES + bodyBytes + CRC_BYTES;
    if (end > bytes.length) return;
    yield {
      kind: bytes.readUInt8(at),
      first: bytes.readUInt32LE(at + 1),
      count: bytes.readUInt32LE(at + 5),
      body: bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + bodyBytes),
    };
    at = end;
  }
}

/** Without a tail that was being written when it was read. */
function wholeRecords(bytes: Buffer): Buffer {
  const lengths = [...recordsOf(bytes)].map(({ body }) => HEAD_BYTES + body.length + CRC_BYTES);
  return bytes.subarray(
    0,
    lengths.reduce((sum, length) => sum + length, 0),
  );
}

function dataBytesOf(records: Iterable<JournalRecord>): number {
  let sizeBytes = 0;
  let dataBytes = 0;
  for (const { kind, first, count, body } of records) {
    if (kind === KIND.header) sizeBytes = JSON.parse(body.toString()).sizeBytes;
    if (kind === KIND.data)
      dataBytes += Math.min((first + count) * LEAF_BYTES, sizeBytes) - first * LEAF_BYTES;
  }
  return dataBytes;
}

function repeatedIn(records: Iterable<JournalRecord>): number[] {
  const taken = new Set<number>();
  const repeated: number[] = [];
  for (const { kind, first, count } of records) {
    if (kind === KIND.header || kind === KIND.complete) continue;
    for (let leaf = first; leaf < first + count; leaf += 1) {
      if (taken.has(leaf)) repeated.push(leaf);
      taken.add(leaf);
    }
  }
  return repeated;
}
