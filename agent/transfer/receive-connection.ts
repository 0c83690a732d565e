/**
 * The target's end of one connection: frames in, bytes to the part files, a verdict per segment out.
 *
 * A segment is a gapless run of leaves of one file, closed by its seal. Writes overlap with receiving; the read-back of
 * one segment overlaps with the writes of the next. Memory is bounded by the limits of both.
 */

import { Fault } from "../../proto/fault.js";
import { leafBytesAt, ZERO_LEAF_DIGEST } from "./digest-tree.js";
import { InFlight } from "./in-flight.js";
import type { Link } from "./link.js";
import { decodeOpen, type OpenRequest } from "./messages.js";
import type { PartFile } from "./part-file.js";
import {
  decodeLength,
  encodeLength,
  FLAG_RESEND,
  type Frame,
  LEAF_BYTES,
  protocolFault,
} from "./protocol.js";
import type { LeafRange } from "./read-back.js";

/** What a connection needs of the session that it belongs to. */
export interface ReceivingFiles {
  /** Opens or finds the part of a file; a root when the file is finished already. */
  open(file: number, request: OpenRequest): Promise<PartFile | Buffer>;
  part(file: number): PartFile;
  nameOf(file: number): string;
  finish(file: number, root: Buffer): Promise<void>;
  countData(file: number, bytes: number): void;
  countZero(file: number, bytes: number): void;
  /** True the first time that a leaf is found wrong. */
  mayResend(file: number, leaf: number): boolean;
}

const PARALLEL_WRITES = 4;
/** The source may have this many sealed segments without a verdict; it waits before it sends more. */
const PARALLEL_VERIFIES = 2;
/** No honest segment has more leaves with data in it. */
const SEGMENT_DATA_LEAVES = 1024;
const RESEND_LEAVES = 4096;

interface Segment {
  readonly file: number;
  readonly part: PartFile;
  readonly first: number;
  next: number;
  readonly expected: Map<number, Buffer>;
}

export class ReceiveConnection {
  readonly #link: Link;
  readonly #files: ReceivingFiles;
  readonly #writes = new InFlight(PARALLEL_WRITES);
  readonly #verifies = new InFlight(PARALLEL_VERIFIES);
  #segment: Segment | undefined;

  constructor(link: Link, files: ReceivingFiles) {
    this.#link = link;
    this.#files = files;
  }

  /** Serves until the source closes; rejects with the fault that ended it otherwise. */
  async run(): Promise<void> {
    try {
      for (;;) {
        const frame = await this.#link.next();
        if (frame === undefined) return;
        await this.#handle(frame);
      }
    } finally {
      await this.#writes.settle();
      await this.#verifies.settle();
    }
  }

  async #handle(frame: Frame): Promise<void> {
    switch (frame.type) {
      case "open":
        return await this.#open(frame);
      case "data":
        return await this.#data(frame);
      case "zero":
        return await this.#zero(frame);
      case "seal":
        return await this.#seal(frame);
      case "done":
        await this.#files.finish(frame.file, frame.digest);
        return await this.#link.send("root-ok", { file: frame.file, digest: frame.digest });
      default:
        throw protocolFault(`${frame.type} frame to a target`);
    }
  }

  async #open(frame: Frame): Promise<void> {
    const { file } = frame;
    const opened = await this.#files.open(file, decodeOpen(frame.payload));
    if (Buffer.isBuffer(opened)) return await this.#link.send("root-ok", { file, digest: opened });
    for (const run of opened.verified.runs()) {
      const offset = run.first * LEAF_BYTES;
      if (run.state === "data") {
        await this.#link.send("have", { file, offset }, opened.verified.digestsOf(run));
      } else if (run.state === "zero") {
        await this.#link.send("have-zero", { file, offset }, encodeLength(run.count * LEAF_BYTES));
      }
    }
    await this.#link.send("ready", { file });
  }

  async #data(frame: Frame): Promise<void> {
    const leaf = Math.floor(frame.offset / LEAF_BYTES);
    const segment = this.#continueSegment(frame, leaf, 1);
    const { part, file } = segment;
    const leafEnd = leaf * LEAF_BYTES + leafBytesAt(leaf, part.verified.sizeBytes);
    const size = frame.payload.length;
    if (size === 0 || frame.offset + size > leafEnd) throw protocolFault("data frame across a leaf's border");
    if (frame.digest.equals(ZERO_LEAF_DIGEST)) throw protocolFault("data frame without a digest");
    if (segment.expected.size >= SEGMENT_DATA_LEAVES) throw protocolFault("segment with too much data");
    segment.expected.set(leaf, frame.digest);
    await this.#writes.start(async () => {
      await part.write(frame.offset, frame.payload, (frame.flags & FLAG_RESEND) !== 0);
      this.#link.recycle(frame);
    });
    this.#files.countData(file, leafBytesAt(leaf, part.verified.sizeBytes));
  }

  async #zero(frame: Frame): Promise<void> {
    const first = frame.offset / LEAF_BYTES;
    const count = decodeLength(frame) / LEAF_BYTES;
    if (!Number.isInteger(first) || !Number.isInteger(count) || count === 0) {
      throw protocolFault("zero frame that is not whole leaves");
    }
    const { part, file } = this.#continueSegment(frame, first, count);
    if ((frame.flags & FLAG_RESEND) !== 0) await part.clear(first, count);
    this.#files.countZero(file, count * LEAF_BYTES);
  }

  /** The leaves follow those before them without a gap, within the file. */
  #continueSegment(frame: Frame, first: number, count: number): Segment {
    this.#segment ??= {
      file: frame.file,
      part: this.#files.part(frame.file),
      first,
      next: first,
      expected: new Map(),
    };
    const segment = this.#segment;
    if (frame.file !== segment.file || first !== segment.next) throw protocolFault("segment with a gap");
    if (first + count > segment.part.verified.leafCount)
      throw protocolFault("leaves beyond the end of the file");
    segment.next = first + count;
    return segment;
  }

  async #seal(frame: Frame): Promise<void> {
    const segment = this.#segment;
    this.#segment = undefined;
    const range = segment && { first: segment.first, count: segment.next - segment.first };
    const isSame =
      segment?.file === frame.file &&
      frame.offset === segment.first * LEAF_BYTES &&
      decodeLength(frame) === (range?.count ?? 0) * LEAF_BYTES;
    if (segment === undefined || range === undefined || !isSame)
      throw protocolFault("seal of another segment");
    await this.#writes.drain();
    await this.#verifies.start(async () => {
      try {
        await this.#verify(segment, range);
      } catch (thrown) {
        // The source may be waiting for this verdict and send nothing more: end what waits for its frames.
        this.#link.refuse(thrown instanceof Fault ? thrown : new Fault("internal", String(thrown)));
        throw thrown;
      }
    });
  }

  async #verify(segment: Segment, range: LeafRange): Promise<void> {
    const { file, part, expected } = segment;
    const fields = { file, offset: range.first * LEAF_BYTES };
    const wrong = await part.verify(range, expected);
    if (wrong.length === 0) {
      return await this.#link.send("verified", fields, encodeLength(range.count * LEAF_BYTES));
    }
    for (const leaf of wrong) {
      if (wrong.length <= RESEND_LEAVES && this.#files.mayResend(file, leaf)) continue;
      const where = `${this.#files.nameOf(file)} at offset ${leaf * LEAF_BYTES}`;
      throw new Fault("corrupt", `${where}: what was read back is not what the source read`, {
        have: `${wrong.length} wrong leaves in this segment`,
        need: "the source's digest",
        fix: "check the target's disk and memory before trying again",
      });
    }
    const leaves = Buffer.allocUnsafe(wrong.length * 4);
    for (const [index, leaf] of wrong.entries()) leaves.writeUInt32LE(leaf, index * 4);
    await this.#link.send("resend", fields, leaves);
  }
}
