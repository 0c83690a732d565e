/**
 * The source's end of one connection: sends segments and settles the target's verdict on each.
 *
 * At most two segments are without a verdict; a leaf that the target found wrong is read and sent once more.
 */

import type { Files } from "../os/files.js";
import type { DigestTree } from "./digest-tree.js";
import { LeafReader, type ReadLeaf } from "./leaf-reader.js";
import type { Link } from "./link.js";
import { encodeOpen } from "./messages.js";
import type { OpenedFile } from "./outgoing-file.js";
import type { ProgressMeter } from "./progress.js";
import {
  DIGEST_BYTES,
  decodeLength,
  encodeLength,
  FLAG_RESEND,
  type Frame,
  HEADER_BYTES,
  LEAF_BYTES,
  protocolFault,
} from "./protocol.js";
import { planResend, type Segment, type Span } from "./segment-plan.js";

const UNSETTLED_SEGMENTS = 2;

export class SendConnection {
  readonly #link: Link;
  readonly #meter: ProgressMeter;
  readonly #reader: LeafReader;
  readonly #onVerified: () => void;
  readonly #unsettled: Segment[] = [];
  readonly #resends: Segment[] = [];
  /** Leaves that the target had from before. */
  resumedBytes = 0;

  constructor(link: Link, files: Files, meter: ProgressMeter, onVerified: () => void) {
    this.#link = link;
    this.#meter = meter;
    this.#reader = new LeafReader(files);
    this.#onVerified = onVerified;
  }

  /** Announces a file and takes over what the target has verified of it. */
  async open(file: OpenedFile): Promise<void> {
    file.forget();
    this.#meter.expectFile(file.index, file.id, file.sizeBytes, file.sizeBytes - file.dataBytes);
    await this.#link.send("open", { file: file.index }, encodeOpen(file.request));
    for (;;) {
      const frame = await this.#link.expect("have", "have-zero", "ready", "root-ok");
      if (frame.file !== file.index) throw protocolFault(`${frame.type} frame of another file`);
      if (frame.type === "root-ok") file.isFinished = true;
      if (frame.type === "root-ok" || frame.type === "ready") break;
      takeOver(frame, file.digests);
    }
    const hadBytes = file.isFinished ? file.dataBytes : file.digests.dataBytes;
    this.resumedBytes += hadBytes;
    this.#meter.skipped(file.index, hadBytes);
  }

  /** Sends segments from the shared queue until it is empty and every verdict is in. */
  async run(queue: AsyncGenerator<Segment>): Promise<void> {
    let isQueueEmpty = false;
    for (;;) {
      while (this.#unsettled.length < UNSETTLED_SEGMENTS && !(isQueueEmpty && this.#resends.length === 0)) {
        const segment = this.#resends.shift() ?? (await nextOf(queue));
        if (segment === undefined) isQueueEmpty = true;
        else await this.#send(segment);
      }
      if (this.#unsettled.length === 0) return;
      this.#takeVerdict(await this.#link.expect("verified", "resend"));
    }
  }

  /** States the root of a file of which every leaf is verified. */
  async finish(file: OpenedFile): Promise<void> {
    await file.requireUnchanged();
    const digest = file.digests.root();
    await this.#link.send("done", { file: file.index, digest });
    const answer = await this.#link.expect("root-ok");
    if (answer.file !== file.index || !answer.digest.equals(digest))
      throw protocolFault("root-ok of another file");
    file.isFinished = true;
  }

  async #send(segment: Segment): Promise<void> {
    this.#unsettled.push(segment);
    for (const span of segment.spans) {
      if (span.kind === "hole") await this.#sendHole(segment, span);
      else await this.#sendData(segment, span);
    }
    const { file, first, count } = segment;
    await this.#link.send("seal", { file: file.index, offset: first * LEAF_BYTES }, lengthOf(count));
  }

  async #sendHole({ file }: Segment, { first, count }: Span): Promise<void> {
    file.digests.setZero(first, count);
    await this.#link.send("zero", { file: file.index, offset: first * LEAF_BYTES }, lengthOf(count));
  }

  async #sendData(segment: Segment, span: Span): Promise<void> {
    for await (const leaves of this.#reader.read(segment.file, span)) {
      await Promise.all(leaves.map(leaf => this.#sendLeaf(segment, leaf)));
    }
  }

  async #sendLeaf({ file, isResend }: Segment, read: ReadLeaf): Promise<void> {
    const { leaf, digest, sizeBytes, start, end } = read;
    const flags = isResend ? FLAG_RESEND : 0;
    const leafOffset = leaf * LEAF_BYTES;
    if (digest === undefined) {
      file.digests.setZero(leaf, 1);
      this.#meter.skipped(file.index, sizeBytes);
      return await this.#link.send("zero", { file: file.index, offset: leafOffset, flags }, lengthOf(1));
    }
    file.digests.set(leaf, digest);
    const fields = { file: file.index, offset: leafOffset + start - HEADER_BYTES, flags, digest };
    await this.#link.sendInPlace("data", fields, read.buffer, start, end);
    this.#meter.done(file.index, sizeBytes);
  }

  #takeVerdict(frame: Frame): void {
    const at = this.#unsettled.findIndex(
      ({ file, first }) => file.index === frame.file && first * LEAF_BYTES === frame.offset,
    );
    const [segment] = at < 0 ? [] : this.#unsettled.splice(at, 1);
    if (segment === undefined) throw protocolFault(`${frame.type} of a segment that was not sent`);
    if (frame.type === "resend") {
      this.#resends.push(...planResend(segment.file, leavesOf(frame, segment)));
    } else if (decodeLength(frame) === segment.count * LEAF_BYTES) this.#onVerified();
    else throw protocolFault("verdict on another segment");
  }
}

const lengthOf = (leafCount: number): Buffer => encodeLength(leafCount * LEAF_BYTES);

async function nextOf(queue: AsyncGenerator<Segment>): Promise<Segment | undefined> {
  const { done, value } = await queue.next();
  return done === true ? undefined : value;
}

function takeOver(frame: Frame, digests: DigestTree): void {
  const first = frame.offset / LEAF_BYTES;
  const count =
    frame.type === "have" ? frame.payload.length / DIGEST_BYTES : decodeLength(frame) / LEAF_BYTES;
  const isInside = Number.isInteger(first) && Number.isInteger(count) && first + count <= digests.leafCount;
  if (!isInside) throw protocolFault(`${frame.type} frame beyond the file`);
  if (frame.type === "have-zero") {
    digests.setZero(first, count);
    return;
  }
  for (let index = 0; index < count; index += 1) {
    digests.set(first + index, frame.payload.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES));
  }
}

function leavesOf(frame: Frame, segment: Segment): number[] {
  const leaves: number[] = [];
  for (let at = 0; at + 4 <= frame.payload.length; at += 4) {
    const leaf = frame.payload.readUInt32LE(at);
    if (leaf < segment.first || leaf >= segment.first + segment.count)
      throw protocolFault("resend beyond the segment");
    leaves.push(leaf);
  }
  if (leaves.length === 0) throw protocolFault("resend of nothing");
  return leaves;
}
