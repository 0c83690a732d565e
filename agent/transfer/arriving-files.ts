/**
 * The files of one transfer at its target: which are open, which are finished, and how much of them was there before. A
 * source that opens a file again gets the part that it had, as long as it says the same of the file.
 */

import type { Logger } from "pino";
import { Fault } from "../../proto/fault.js";
import type { Engine, PartTable } from "../os/engine.js";
import type { Files } from "../os/files.js";
import { type LeafRange, runsOf } from "./digest-tree.js";
import type { FileAt } from "./engine-fault.js";
import { type IncomingFile, partPathOf } from "./incoming-file.js";
import type { OpenRequest } from "./messages.js";
import { PartFile } from "./part-file.js";
import type { ProgressMeter } from "./progress.js";
import { LEAF_BYTES, protocolFault } from "./protocol.js";
import { type CopiedFile, copiedFile } from "./receipt.js";
import type { ReceivingFiles } from "./receive-connection.js";
import { lackOfSpace, requireSpace } from "./required-space.js";

/** Whose files, and how far what an earlier pass left of them may be believed. */
export interface Arrival {
  readonly migrationId: string;
  readonly files: readonly IncomingFile[];
  /** False: another pass over the same files is to come, so they keep their part names. True when left out. */
  readonly isLastPass?: boolean;
  /** False: what an earlier pass left is read again before it is believed. True when left out. */
  readonly trustsManifest?: boolean;
}

export interface ArrivalDeps {
  readonly engine: Engine;
  readonly files: Files;
  /** False for measurements only; the receipt says so. True when left out. */
  readonly readsBack?: boolean;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly beforeReadBack?: ((partPath: string, range: LeafRange) => Promise<void>) | undefined;
}

interface OpenedFile {
  readonly part: PartFile;
  /** What the source said of its file; equal as long as that is unchanged. */
  readonly stamp: string;
  readonly dataBytes: number;
}

export class ArrivingFiles implements ReceivingFiles {
  /** Where the engine writes what it receives. */
  readonly table: PartTable;
  /** Chosen with the source before anything is opened. */
  algorithm = "";
  readonly #arrival: Arrival;
  readonly #deps: ArrivalDeps;
  readonly #meter: ProgressMeter;
  readonly #onAllConcluded: () => void;
  readonly #open = new Map<number, OpenedFile>();
  readonly #finished = new Map<number, { readonly file: CopiedFile; readonly stamp: string }>();
  #resumedBytes = 0;

  constructor(arrival: Arrival, deps: ArrivalDeps, meter: ProgressMeter, onAllConcluded: () => void) {
    this.#arrival = arrival;
    this.#deps = deps;
    this.#meter = meter;
    this.#onAllConcluded = onAllConcluded;
    this.table = new deps.engine.PartTable();
  }

  get areFinished(): boolean {
    return this.#finished.size === this.#arrival.files.length;
  }

  /** Data that was there, verified, before it was to be sent. */
  get resumedBytes(): number {
    return this.#resumedBytes;
  }

  /** In their order; those that are finished. */
  copied(): CopiedFile[] {
    return this.#arrival.files.flatMap((_, index) => this.#finished.get(index)?.file ?? []);
  }

  /** Opens or finds the part of a file; its root when it is finished already. */
  async open(index: number, request: OpenRequest): Promise<PartFile | Buffer> {
    const incoming = this.#incoming(index);
    const stamp = JSON.stringify(request);
    if (request.sizeBytes !== incoming.sizeBytes) {
      const sizes = { have: `${request.sizeBytes} bytes`, need: `${incoming.sizeBytes} bytes` };
      throw new Fault("conflict", `${incoming.id} is not the size that was planned`, sizes);
    }
    const finished = this.#finished.get(index);
    if (finished !== undefined) {
      if (finished.stamp === stamp) return Buffer.from(finished.file.rootDigest, "hex");
      throw new Fault("conflict", `source of ${incoming.id} changed after its copy was finished`);
    }
    const part = await this.#openPart(index, incoming, request, stamp);
    this.#meter.expectFile(index, incoming.id, request.sizeBytes, 0);
    this.#meter.follow(index, () => part.counts());
    await requireSpace(this.#open.values(), incoming);
    this.#countResumed(index, part);
    if (!part.isFinished) {
      this.table.set(index, part.part);
      return part;
    }
    const root = part.verified.root();
    await this.finish(index, root);
    return root;
  }

  /** Named in faults. */
  readonly fileAt: FileAt = index => {
    const incoming = this.#incoming(index);
    return { id: incoming.id, path: partPathOf(incoming, this.#arrival.migrationId) };
  };

  /** Takes its place when its root is as the source states; repeated, it is so already. */
  async finish(index: number, root: Buffer): Promise<void> {
    if (this.#finished.has(index)) return;
    const entry = this.#open.get(index);
    if (entry === undefined) throw protocolFault(`file ${index} is not open`);
    await entry.part.finish(root);
    this.table.delete(index);
    this.#open.delete(index);
    await entry.part.close();
    this.#warnOfSuspects(index, entry.part);
    const file = copiedFile(this.#incoming(index), entry.part, root);
    this.#finished.set(index, { file, stamp: entry.stamp });
  }

  concluded(): void {
    if (this.areFinished) this.#onAllConcluded();
  }

  /** A full disk says how full. */
  async withSpace(fault: Fault): Promise<Fault> {
    if (fault.code !== "out-of-space" || fault.detail.have !== undefined) return fault;
    return await lackOfSpace(fault, this.#open.values());
  }

  /** What is there stays for the next attempt. */
  async close(): Promise<void> {
    for (const { part } of this.#open.values()) await part.close();
    this.#open.clear();
  }

  async #openPart(
    index: number,
    incoming: IncomingFile,
    request: OpenRequest,
    stamp: string,
  ): Promise<PartFile> {
    const entry = this.#open.get(index);
    if (entry?.stamp === stamp) return entry.part;
    this.#open.delete(index);
    this.table.delete(index);
    await entry?.part.close();
    const { engine, files, beforeReadBack, readsBack = true } = this.#deps;
    const { migrationId, isLastPass = true, trustsManifest = true } = this.#arrival;
    const policy = { algorithm: this.algorithm, isLastPass, trustsManifest, readsBack };
    const place = { files, incoming, migrationId, beforeReadBack, ...policy };
    const part = await PartFile.open(engine, place, request);
    this.#open.set(index, { part, stamp, dataBytes: request.dataBytes });
    return part;
  }

  #countResumed(index: number, part: PartFile): void {
    this.#resumedBytes += part.verified.dataBytes;
    for (const { state, count } of runsOf(part.verified)) {
      if (state !== "unknown") this.#meter.skipped(index, count * LEAF_BYTES);
    }
  }

  #warnOfSuspects(index: number, { askedAgain }: PartFile): void {
    if (askedAgain === 0) return;
    const where = { file: this.fileAt(index).id, leaves: askedAgain };
    this.#deps.log.warn(where, "leaves that were read back differed from the source's and were sent again");
  }

  #incoming(index: number): IncomingFile {
    const incoming = this.#arrival.files[index];
    if (incoming === undefined) throw protocolFault(`file ${index} was never announced`);
    return incoming;
  }
}
