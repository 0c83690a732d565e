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
import { asFault, Fault } from "../../proto/fault.js";
import { type Arrival, type ArrivalDeps, ArrivingFiles } from "./arriving-files.js";
import { agreeOn } from "./compression.js";
import { ConnectionLost } from "./engine-fault.js";
import type { Link } from "./link.js";
import { chooseAlgorithm, encodeWelcome, type Hello } from "./messages.js";
import { type Clock, ProgressMeter, type TransferProgress } from "./progress.js";
import { LEAF_BYTES } from "./protocol.js";
import type { CopyReceipt } from "./receipt.js";
import { receiveOn } from "./receive-connection.js";

/** What the controller said of a transfer that will come. */
export interface ExpectedTransfer extends Arrival {
  readonly serverId: string;
  readonly epoch: number;
  readonly token: string;
  readonly sourceHost: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TransferProgress) => void;
}

export interface SessionDeps extends ArrivalDeps {
  readonly clock: Clock;
  /** Without a connection for this long the transfer has failed. */
  readonly absentMs: number;
}

export class ReceiveSession {
  readonly expected: ExpectedTransfer;
  readonly done: Promise<CopyReceipt>;
  readonly #deps: SessionDeps;
  readonly #files: ArrivingFiles;
  readonly #meter: ProgressMeter;
  readonly #settle: PromiseWithResolvers<CopyReceipt> = Promise.withResolvers();
  readonly #startedAtMs: number;
  readonly #links = new Map<Link, Promise<void>>();
  readonly #ready: Promise<void>;
  #admission: Promise<void> = Promise.resolve();
  #attempt = "";
  #failure: Fault | undefined;
  #ending: Promise<void> | undefined;
  #absence: NodeJS.Timeout | undefined;
  #wireBytes = 0;
  readonly #onAbort = () => void this.abort("the operation was cancelled");

  /** `olderEnded` resolves when no older session of this server writes any more. */
  constructor(expected: ExpectedTransfer, deps: SessionDeps, olderEnded: Promise<void>) {
    this.expected = expected;
    this.#deps = deps;
    this.#ready = olderEnded;
    this.#startedAtMs = deps.clock.nowMs();
    this.#meter = new ProgressMeter(deps.clock, progress => expected.onProgress?.(progress));
    this.#files = new ArrivingFiles(expected, deps, this.#meter, () => void this.#end(undefined));
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

  async #serve(link: Link, hello: Hello): Promise<void> {
    try {
      this.#meter.start();
      const algorithm = chooseAlgorithm(hello, this.#deps.engine.algorithms);
      this.#files.algorithm = algorithm;
      const compression = agreeOn(hello.compressions, this.#deps.engine.compressions);
      if (compression !== "none") link.allowCompression();
      await link.send("welcome", {}, encodeWelcome({ algorithm, compression }));
      await receiveOn(link, this.#files);
      link.close();
    } catch (thrown) {
      const fault = await this.#files.withSpace(asFault(thrown));
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
    await this.#files.close();
    this.#settle.reject(fault);
  }

  #receipt(): CopyReceipt {
    assert(this.#files.areFinished);
    let wireBytes = this.#wireBytes;
    for (const link of this.#links.keys()) wireBytes += link.receivedBytes;
    return {
      algorithm: this.#files.algorithm,
      leafBytes: LEAF_BYTES,
      files: this.#files.copied(),
      wireBytes,
      startedAtMs: this.#startedAtMs,
      finishedAtMs: this.#deps.clock.nowMs(),
      resumedBytes: this.#files.resumedBytes,
    };
  }
}
