/**
 * Which leaves of a part file are verified, kept beside it: `<target>.part-<migration>.journal`.
 *
 * Append-only. A header says whose bytes these are; each record that follows says "these leaves were read back with
 * these digests" and was appended after the data was made durable. A record has a checksum, so a tail torn by a crash
 * is cut off, never believed. The last record, `complete`, names the root and is durable before the rename. The engine
 * appends what it verified (native/src/transfer/part_file.cc); all else of the journal is here.
 *
 *   kind u8 | first leaf u32 | leaf count u32 | body bytes u32 | body | crc32 u32
 */

import { fstat, ftruncate, type Stats } from "node:fs";
import { promisify } from "node:util";
import { crc32 } from "node:zlib";
import { z } from "zod";
import type { DigestTree, Files } from "../os/files.js";
import { readFull, syncData, writeAll } from "./fd-io.js";
import type { SourceStamp } from "./messages.js";
import { DIGEST_BYTES } from "./protocol.js";

const truncateFd = promisify(ftruncate);
const statFd: (fd: number) => Promise<Stats> = promisify(fstat);

const KIND = { header: 1, data: 2, zero: 3, complete: 4 } as const;
const HEAD_BYTES = 13;
const CRC_BYTES = 4;
/** Longer than any record we write; a longer one on disk is a torn or foreign tail. */
const BODY_LIMIT_BYTES = 256 * 1024;

const identitySchema = z.object({ device: z.string(), inode: z.string(), birthNs: z.string() });
const headerSchema = z.object({
  migrationId: z.string(),
  fileId: z.string(),
  algorithm: z.string(),
  leafBytes: z.number(),
  sizeBytes: z.number().int().nonnegative(),
  source: identitySchema.extend({ mtimeNs: z.string(), ctimeNs: z.string() }),
  part: identitySchema,
  holdsOlder: z.boolean().default(false),
});

/** Whose bytes: the source as it was and the part file they are in. */
export interface JournalHeader {
  readonly migrationId: string;
  readonly fileId: string;
  readonly algorithm: string;
  readonly leafBytes: number;
  readonly sizeBytes: number;
  readonly source: SourceStamp;
  readonly part: { readonly device: string; readonly inode: string; readonly birthNs: string };
  /** What is not verified is of an older source, and not zero. */
  readonly holdsOlder: boolean;
}

export interface JournalContent {
  readonly header: JournalHeader;
  readonly verified: DigestTree;
  /** Root of a file that was complete and may carry its final name already. */
  readonly completeRoot: Buffer | undefined;
}

interface JournalRecord {
  readonly kind: number;
  readonly first: number;
  readonly count: number;
  readonly body: Buffer;
}

export class PartJournal {
  readonly #fd: number;
  #endBytes = 0;

  /** Takes the descriptor of an open journal file; the owner closes it. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Where the next record goes. */
  get endBytes(): number {
    return this.#endBytes;
  }

  /** Whose bytes an earlier run began to write, or undefined when there is nothing to go on from. */
  async readHeader(): Promise<JournalHeader | undefined> {
    this.#endBytes = 0;
    const first = await this.#readRecord();
    return first?.kind === KIND.header ? parseHeader(first.body) : undefined;
  }

  /**
   * What an earlier run wrote of a file of this size, or undefined when there is nothing to go on from. Cuts off a torn tail.
   * No tree is made for a size that only the journal knows: it may claim any.
   */
  async replay(
    newDigestTree: Files["newDigestTree"],
    sizeBytes: number,
  ): Promise<JournalContent | undefined> {
    const header = await this.readHeader();
    if (header?.sizeBytes !== sizeBytes) return undefined;
    const verified = treeOf(header, newDigestTree);
    if (verified === undefined) return undefined;
    let completeRoot: Buffer | undefined;
    for (;;) {
      const endBytes = this.#endBytes;
      const record = await this.#readRecord();
      if (record === undefined) break;
      if (record.kind === KIND.complete) completeRoot = record.body;
      else if (!apply(record, verified)) {
        this.#endBytes = endBytes;
        break;
      }
    }
    await truncateFd(this.#fd, this.#endBytes);
    return { header, verified, completeRoot };
  }

  /** Forgets everything, durably. */
  async clear(): Promise<void> {
    await truncateFd(this.#fd, 0);
    this.#endBytes = 0;
    await this.sync();
  }

  /** The first record of a cleared journal; durable with whatever record is the next. */
  async begin(header: JournalHeader): Promise<void> {
    await this.#append({ kind: KIND.header, first: 0, count: 0, body: Buffer.from(JSON.stringify(header)) });
  }

  /** At the end of all that the engine has appended meanwhile. */
  async recordComplete(root: Buffer): Promise<void> {
    this.#endBytes = (await statFd(this.#fd)).size;
    await this.#append({ kind: KIND.complete, first: 0, count: 0, body: root });
  }

  async sync(): Promise<void> {
    await syncData(this.#fd);
  }

  async #append(record: JournalRecord): Promise<void> {
    const bytes = encodeRecord(record);
    const at = this.#endBytes;
    this.#endBytes += bytes.length;
    await writeAll(this.#fd, bytes, at);
  }

  async #readRecord(): Promise<JournalRecord | undefined> {
    const head = Buffer.alloc(HEAD_BYTES);
    if ((await readFull(this.#fd, head, this.#endBytes)) < HEAD_BYTES) return undefined;
    const bodyBytes = head.readUInt32LE(9);
    if (bodyBytes > BODY_LIMIT_BYTES) return undefined;
    const rest = Buffer.alloc(bodyBytes + CRC_BYTES);
    if ((await readFull(this.#fd, rest, this.#endBytes + HEAD_BYTES)) < rest.length) return undefined;
    const body = rest.subarray(0, bodyBytes);
    if (rest.readUInt32LE(bodyBytes) !== crc32(body, crc32(head))) return undefined;
    this.#endBytes += HEAD_BYTES + rest.length;
    return { kind: head.readUInt8(0), first: head.readUInt32LE(1), count: head.readUInt32LE(5), body };
  }
}

function encodeRecord({ kind, first, count, body }: JournalRecord): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + body.length + CRC_BYTES);
  bytes.writeUInt8(kind, 0);
  bytes.writeUInt32LE(first, 1);
  bytes.writeUInt32LE(count, 5);
  bytes.writeUInt32LE(body.length, 9);
  bytes.set(body, HEAD_BYTES);
  const end = HEAD_BYTES + body.length;
  bytes.writeUInt32LE(crc32(bytes.subarray(0, end)), end);
  return bytes;
}

function parseHeader(body: Buffer): JournalHeader | undefined {
  try {
    return headerSchema.parse(JSON.parse(body.toString("utf8")));
  } catch {
    return undefined; // a journal that we cannot read is one that we begin anew
  }
}

/** Undefined for a digest that this build does not have: such a journal is begun anew. */
function treeOf(header: JournalHeader, newDigestTree: Files["newDigestTree"]): DigestTree | undefined {
  try {
    return newDigestTree(header.sizeBytes, header.algorithm);
  } catch {
    return undefined;
  }
}

/** False when the record does not fit the file: from there on nothing is believed. */
function apply({ kind, first, count, body }: JournalRecord, verified: DigestTree): boolean {
  if (first + count > verified.leafCount) return false;
  if (kind === KIND.zero) {
    verified.setZero(first, count);
    return true;
  }
  if (kind !== KIND.data || body.length !== count * DIGEST_BYTES) return false;
  verified.set(first, body);
  return true;
}
