/**
 * One expected transfer at its target: which files, from whom, at which epoch, and how far it is.
 *
 *   waiting ─ connection → receiving ─ all roots match → finished (receipt)
 *      ↑ └──── lost ──────────┘ └ refusal, abort, absence → failed (fault)
 *
 * Lost connections are waited for, refusals end it. An attempt of the source supersedes the one before, whose
 * work has ended before the new one is answered. `done` settles only when no write is under way any more.
 */

import assert from "node:assert";
import type { Logger } from "pino";
import { asFault, Fault } from "../../proto/fault.js";
import type { Engine, PartTable } from "../os/engine.js";
import type { Files } from "../os/files.js";
import { agreeOn } from "./compression.js";
import { type LeafRange, runsOf } from "./digest-tree.js";
import { ConnectionLost, type FileAt } from "./engine-fault.js";
import { type IncomingFile, partPathOf } from "./incoming-file.js";
import type { Link } from "./link.js";
import { chooseAlgorithm, encodeWelcome, type Hello, type OpenRequest } from "./messages.js";
import { PartFile } from "./part-file.js";
import { type Clock, ProgressMeter, type TransferProgress } from "./progress.js";
import { LEAF_BYTES, protocolFault } from "./protocol.js";
import { type CopiedFile, type CopyReceipt, copiedFile } from "./receipt.js";
import { type ReceivingFiles, receiveOn } from "./receive-connection.js";
import { lackOfSpace, requireSpace } from "./required-space.js";

/** What the controller said of a transfer that will come. */
export interface ExpectedTransfer {
  readonly migrationId: string;
  readonly serverId: string;
  readonly epoch: number;
  readonly token: string;
  readonly sourceHost: string;
  readonly files: readonly IncomingFile[];
  /** False: another pass over the same files is to come, so they keep their part names. True when left out. */
  readonly isLastPass?: boolean;
  /** False: what an earlier pass left is read again before it is believed. True when left out. */
  readonly trustsManifest?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TransferProgress) => void;
}

export interface SessionDeps {
  readonly engine: Engine;
  readonly files: Files;
  /** False for measurements only; the receipt says so. True when left out. */
  readonly readsBack?: boolean;
  readonly clock: Clock;
  readonly log: Pick<Logger, "info" | "warn">;
  /** Without a connection for this long the transfer has failed. */
  readonly absentMs: number;
  readonly beforeReadBack?: ((partPath: string, range: LeafRange) => Promise<void>) | undefined;
}

interface OpenedIncoming {
  readonly part: PartFile;
  /** What the source said of its file; equal as long as that is unchanged. */
  readonly stamp: string;
  readonly dataBytes: number;
}

export class ReceiveSession implements ReceivingFiles {
  readonly expected: ExpectedTransfer;
  readonly done: Promise<CopyReceipt>;
  readonly table: PartTable;
  readonly #deps: SessionDeps;
  readonly #meter: ProgressMeter;
  readonly #settle: PromiseWithResolvers<CopyReceipt> = Promise.withResolvers();
  readonly #startedAtMs: number;
  readonly #links = new Map<Link, Promise<void>>();
  readonly #parts = new Map<number, OpenedIncoming>();
  readonly #finished = new Map<number, { readonly file: CopiedFile; readonly stamp: string }>();
  readonly #ready: Promise<void>;
  #admission: Promise<void> = Promise.resolve();
  #attempt = "";
  #algorithm = "";
  #failure: Fault | undefined;
  #ending: Promise<void> | undefined;
  #absence: NodeJS.Timeout | undefined;
  #wireBytes = 0;
  #resumedBytes = 0;
  readonly #onAbort = () => void this.abort("the operation was cancelled");

  /** `olderEnded` resolves when no older session of this server writes any more. */
  constructor(expected: ExpectedTransfer, deps: SessionDeps, olderEnded: Promise<void>) {
    this.expected = expected;
    this.#deps = deps;
    this.table = new deps.engine.PartTable();
    this.#ready = olderEnded;
    this.#startedAtMs = deps.clock.nowMs();
    this.#meter = new ProgressMeter(deps.clock, progress => expected.onProgress?.(progress));
    this.done = this.#settle.promise;
    this.done.catch(() => {}); // whoever awaits `done` sees it; nobody has to
    this.#awaitSource();
    expected.signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (expected.signal?.aborted) this.#onAbort();
    if (expected.files.length === 0) void this.#end(undefined);
  }

  get hasEnded(): boolean {
    return this.#ending !== undefined;
  }

  /** Serves one authenticated connection until it ends. Never rejects. */
  async admit(link: Link, hello: Hello): Promise<void> {
    const admitted = this.#admission.then(() => this.#supersede(hello.attempt));
    this.#admission = admitted;
    await admitted;
    if (this.#failure !== undefined) {
      link.refuse(this.#failure);
      return;
    }
    clearTimeout(this.#absence);
    const served = this.#serve(link, hello);
    this.#links.set(link, served);
    await served;
  }

  /** Ends the transfer; resolves when nothing of it writes any more. */
  async abort(reason: string): Promise<void> {
    await this.#end(new Fault("cancelled", `transfer of ${this.expected.migrationId}: ${reason}`));
  }

  /** As `abort`, for a server that is now in other hands. */
  async overrule(epoch: number): Promise<void> {
    const have = { have: `epoch ${this.expected.epoch}`, need: `epoch ${epoch}` };
    await this.#end(new Fault("stale-epoch", `transfer of ${this.expected.migrationId} was overruled`, have));
  }

  /** Ends it so that the source tries again: this agent is going, its successor will go on. */
  async interrupt(): Promise<void> {
    await this.#end(new ConnectionLost("unreachable", "the agent is stopping"));
  }

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
    await requireSpace(this.#parts.values(), incoming);
    this.#countResumed(index, part);
    if (!part.isFinished) {
      this.table.set(index, part.part);
      return part;
    }
    const root = part.verified.root();
    await this.finish(index, root);
    return root;
  }

  readonly fileAt: FileAt = index => {
    const incoming = this.#incoming(index);
    return { id: incoming.id, path: partPathOf(incoming, this.expected.migrationId) };
  };

  async finish(index: number, root: Buffer): Promise<void> {
    if (this.#finished.has(index)) return;
    const entry = this.#parts.get(index);
    if (entry === undefined) throw protocolFault(`file ${index} is not open`);
    await entry.part.finish(root);
    this.table.delete(index);
    this.#parts.delete(index);
    await entry.part.close();
    this.#warnOfSuspects(index, entry.part);
    const file = copiedFile(this.#incoming(index), entry.part, root);
    this.#finished.set(index, { file, stamp: entry.stamp });
  }

  concluded(): void {
    if (this.#finished.size === this.expected.files.length) void this.#end(undefined);
  }

  async #serve(link: Link, hello: Hello): Promise<void> {
    try {
      this.#meter.start();
      this.#algorithm = chooseAlgorithm(hello, this.#deps.engine.algorithms);
      const compression = agreeOn(hello.compressions, this.#deps.engine.compressions);
      if (compression !== "none") link.allowCompression();
      await link.send("welcome", {}, encodeWelcome({ algorithm: this.#algorithm, compression }));
      await receiveOn(link, this);
      link.close();
    } catch (thrown) {
      const fault = await this.#withSpace(asFault(thrown));
      if (fault instanceof ConnectionLost) {
        this.#deps.log.warn({ peer: link.peer, reason: fault.message }, "transfer connection lost");
        link.drop(fault);
      } else {
        link.refuse(fault);
        void this.#end(fault);
      }
    } finally {
      this.#wireBytes += link.receivedBytes;
      this.#links.delete(link);
      if (this.#links.size === 0 && !this.hasEnded) this.#awaitSource();
    }
  }

  /** Connections of an earlier attempt are dropped and awaited before one of a new attempt is served. */
  async #supersede(attempt: string): Promise<void> {
    await this.#ready;
    if (attempt === this.#attempt) return;
    this.#attempt = attempt;
    const lost = new ConnectionLost("unreachable", "superseded by a newer connection");
    for (const link of this.#links.keys()) link.drop(lost);
    await Promise.all(this.#links.values());
  }

  async #openPart(
    index: number,
    incoming: IncomingFile,
    request: OpenRequest,
    stamp: string,
  ): Promise<PartFile> {
    const entry = this.#parts.get(index);
    if (entry?.stamp === stamp) return entry.part;
    this.#parts.delete(index);
    this.table.delete(index);
    await entry?.part.close();
    const { engine, files, beforeReadBack, readsBack = true } = this.#deps;
    const { migrationId, isLastPass = true, trustsManifest = true } = this.expected;
    const algorithm = this.#algorithm;
    const policy = { algorithm, isLastPass, trustsManifest, readsBack };
    const place = { files, incoming, migrationId, beforeReadBack, ...policy };
    const part = await PartFile.open(engine, place, request);
    this.#parts.set(index, { part, stamp, dataBytes: request.dataBytes });
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

  /** A full disk says how full. */
  async #withSpace(fault: Fault): Promise<Fault> {
    if (fault.code !== "out-of-space" || fault.detail.have !== undefined) return fault;
    return await lackOfSpace(fault, this.#parts.values());
  }

  #incoming(index: number): IncomingFile {
    const incoming = this.expected.files[index];
    if (incoming === undefined) throw protocolFault(`file ${index} was never announced`);
    return incoming;
  }

  #awaitSource(): void {
    clearTimeout(this.#absence);
    const { absentMs } = this.#deps;
    const { sourceHost, migrationId } = this.expected;
    const message = `transfer of ${migrationId}: ${sourceHost} did not connect for ${absentMs} ms`;
    this.#absence = setTimeout(() => void this.#end(new Fault("unreachable", message)), absentMs);
    this.#absence.unref();
  }

  /** The one way out; the first reason stands. */
  #end(fault: Fault | undefined): Promise<void> {
    this.#failure ??= this.#ending === undefined ? fault : undefined;
    this.#ending ??= this.#windUp(fault);
    return this.#ending;
  }

  async #windUp(fault: Fault | undefined): Promise<void> {
    clearTimeout(this.#absence);
    this.expected.signal?.removeEventListener("abort", this.#onAbort);
    this.#meter.stop();
    if (fault === undefined) return this.#settle.resolve(this.#receipt());
    for (const link of this.#links.keys()) {
      if (fault instanceof ConnectionLost) link.drop(fault);
      else link.refuse(fault);
    }
    await Promise.all([this.#admission, ...this.#links.values()]);
    for (const { part } of this.#parts.values()) await part.close();
    this.#parts.clear();
    this.#settle.reject(fault);
  }

  #receipt(): CopyReceipt {
    assert(this.#finished.size === this.expected.files.length);
    const files = this.expected.files.map((_, index) => this.#finished.get(index)?.file);
    let wireBytes = this.#wireBytes;
    for (const link of this.#links.keys()) wireBytes += link.receivedBytes;
    return {
      algorithm: this.#algorithm,
      leafBytes: LEAF_BYTES,
      files: files.filter(file => file !== undefined),
      wireBytes,
      startedAtMs: this.#startedAtMs,
      finishedAtMs: this.#deps.clock.nowMs(),
      resumedBytes: this.#resumedBytes,
    };
  }
}
