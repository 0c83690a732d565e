/**
 * One file on its way in: written beside its final name, verified leaf by leaf, renamed when it is whole.
 *
 * Promises: the final name never holds anything but a complete, verified, durable file; whatever else is found there
 * is left alone. A part of this migration is gone on with if it is of the same source, unchanged; otherwise it is
 * begun anew. A leaf counts as verified only after flush, read-back, comparison and a durable journal record, in
 * this order. The part was created empty by this migration, so what is not written is zero.
 */

import { fchmod, fchown } from "node:fs";
import { promisify } from "node:util";
import { Fault } from "../../proto/fault.js";
import type { Files } from "../os/files.js";
import type { DigestTree } from "./digest-tree.js";
import { closeFd, syncAll, syncData, writeAll } from "./fd-io.js";
import { errnoOf, fileFault } from "./file-fault.js";
import { partPathOf } from "./incoming-file.js";
import type { OpenRequest } from "./messages.js";
import { type OpenedPart, openPart, type PartPlace } from "./open-part.js";
import type { PartJournal } from "./part-journal.js";
import { LEAF_BYTES } from "./protocol.js";
import { type LeafRange, type ReadBackMode, readBackModeOf, readLeaves, wrongLeaves } from "./read-back.js";

const setMode = promisify(fchmod);
const setOwner = promisify(fchown);

/** What is zero in a leaf stays a hole at this grain. */
const HOLE_BYTES = 4096;

export class PartFile {
  readonly path: string;
  readonly verified: DigestTree;
  readonly readBackMode: ReadBackMode;
  readonly #place: PartPlace;
  readonly #fd: number;
  readonly #journalFd: number;
  readonly #journal: PartJournal;
  #isFinished: boolean;

  private constructor(place: PartPlace, opened: OpenedPart, mode: ReadBackMode) {
    this.path = partPathOf(place.incoming, place.migrationId);
    this.verified = opened.content.verified;
    this.readBackMode = mode;
    this.#place = place;
    this.#fd = opened.fd;
    this.#journalFd = opened.journalFd;
    this.#journal = opened.journal;
    this.#isFinished = opened.isFinished;
  }

  /** Goes on with what an earlier run left, or begins; refuses a final name that is taken by anything else. */
  static async open(place: PartPlace, request: OpenRequest): Promise<PartFile> {
    const { id, targetPath } = place.incoming;
    try {
      const opened = await openPart(place, request);
      return new PartFile(place, opened, await readBackModeOf(place.files, opened.fd));
    } catch (thrown) {
      throw fileFault(thrown, `receive ${id} into ${targetPath}`);
    }
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** Bytes that the file system must still find for this file, and has. */
  async space(dataBytes: number): Promise<{ device: string; needBytes: number; freeBytes: number }> {
    const facts = await this.#place.files.facts(this.#fd);
    const { freeBytes } = await this.#place.files.fileSystem(this.#fd);
    const needBytes = this.#isFinished ? 0 : Math.max(0, dataBytes - facts.allocatedBytes);
    return { device: facts.device, needBytes, freeBytes };
  }

  /** Writes what is not zero of a piece of one leaf; `clear` first makes the whole leaf a hole. */
  async write(offset: number, bytes: Buffer, clear: boolean): Promise<void> {
    try {
      if (clear) await this.clear(Math.floor(offset / LEAF_BYTES), 1);
      for (const [start, end] of nonZeroPieces(this.#place.files, bytes)) {
        await writeAll(this.#fd, bytes.subarray(start, end), offset + start);
      }
    } catch (thrown) {
      throw await this.#writeFault(thrown, offset, bytes.length);
    }
  }

  /** Makes leaves read as zero. */
  async clear(first: number, count: number): Promise<void> {
    const offset = first * LEAF_BYTES;
    const length = Math.min(count * LEAF_BYTES, this.verified.sizeBytes - offset);
    await this.#place.files.punchHole(this.#fd, offset, length);
  }

  /**
   * Flushes, reads back and compares one segment; what is right is verified and durable when this resolves, what is
   * not is returned. `expected` has the digests of the leaves that are not all zero.
   */
  async verify(range: LeafRange, expected: ReadonlyMap<number, Buffer>): Promise<number[]> {
    try {
      await syncData(this.#fd);
      await this.#place.beforeReadBack?.(this.path, range);
      const file = { fd: this.#fd, sizeBytes: this.verified.sizeBytes };
      const found = await readLeaves(this.#place.files, file, range, this.readBackMode);
      const wrong = wrongLeaves(range, expected, found);
      await this.#record(range, expected, new Set(wrong));
      return wrong;
    } catch (thrown) {
      throw await this.#writeFault(thrown, range.first * LEAF_BYTES, range.count * LEAF_BYTES);
    }
  }

  /** The root must match; then owner, permissions, flush, and the final name. */
  async finish(root: Buffer): Promise<void> {
    if (this.#isFinished) return;
    const { incoming, files } = this.#place;
    if (!this.verified.isComplete) throw new Fault("corrupt", `${incoming.id} is not complete`);
    const have = this.verified.root();
    if (!have.equals(root)) {
      const detail = { have: have.toString("hex"), need: root.toString("hex") };
      throw new Fault("corrupt", `${incoming.id}: root digest differs from the source's`, detail);
    }
    try {
      await this.#journal.recordComplete(root);
      await this.#journal.sync();
      if (incoming.uid !== undefined && incoming.gid !== undefined) {
        await setOwner(this.#fd, incoming.uid, incoming.gid);
      }
      await setMode(this.#fd, incoming.mode);
      await syncAll(this.#fd);
      await files.renameNoReplace(this.path, incoming.targetPath);
      this.#isFinished = true;
    } catch (thrown) {
      throw fileFault(thrown, `give ${this.path} its name ${incoming.targetPath}`);
    }
  }

  async close(): Promise<void> {
    await closeFd(this.#fd);
    await closeFd(this.#journalFd);
  }

  async #record(range: LeafRange, expected: ReadonlyMap<number, Buffer>, wrong: Set<number>): Promise<void> {
    const end = range.first + range.count;
    for (let leaf = range.first; leaf < end; ) {
      const first = leaf;
      const kind = kindOf(leaf, expected, wrong);
      const digests: Buffer[] = [];
      while (leaf < end && kindOf(leaf, expected, wrong) === kind) {
        const digest = expected.get(leaf);
        if (digest !== undefined) digests.push(digest);
        leaf += 1;
      }
      if (kind === "data")
        await this.#journal.recordData({ first, count: leaf - first }, Buffer.concat(digests));
      if (kind === "zero") await this.#journal.recordZero(first, leaf - first);
      if (kind === "data")
        for (const [at, digest] of digests.entries()) this.verified.set(first + at, digest);
      if (kind === "zero") this.verified.setZero(first, leaf - first);
    }
    await this.#journal.sync();
  }

  async #writeFault(thrown: unknown, offset: number, length: number): Promise<Fault> {
    const { incoming, files } = this.#place;
    const attempt = `write ${incoming.id} at offset ${offset} of ${this.path}`;
    if (!["ENOSPC", "EDQUOT"].includes(errnoOf(thrown))) return fileFault(thrown, attempt);
    const { freeBytes } = await files.fileSystem(this.#fd);
    return fileFault(thrown, attempt, {
      have: `${freeBytes} bytes free`,
      need: `at least ${Math.max(length, this.verified.sizeBytes - offset)} bytes`,
      fix: "free space on the target's file system, then repeat",
    });
  }
}

function kindOf(
  leaf: number,
  expected: ReadonlyMap<number, Buffer>,
  wrong: Set<number>,
): "wrong" | "data" | "zero" {
  if (wrong.has(leaf)) return "wrong";
  return expected.has(leaf) ? "data" : "zero";
}

/** [start, end) of the pieces of a buffer that hold anything, at the grain of a file system block. */
function* nonZeroPieces(files: Files, bytes: Buffer): Generator<readonly [number, number]> {
  let start: number | undefined;
  for (let at = 0; at < bytes.length; at += HOLE_BYTES) {
    const isHole = files.isZero(bytes.subarray(at, at + HOLE_BYTES));
    if (!isHole) start ??= at;
    else if (start !== undefined) {
      yield [start, at];
      start = undefined;
    }
  }
  if (start !== undefined) yield [start, bytes.length];
}
