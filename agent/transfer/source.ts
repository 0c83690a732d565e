/**
 * Sends files to the agent that expects them, over one or several TLS connections, until every root is confirmed.
 *
 * Promises: what the target has verified is not sent again, neither after a lost connection nor after a restart of
 * either side; a lost connection is tried again with growing pauses, counted anew after each that brought something
 * forward; a refusal ends both sides with the same fault; abort ends everything within a second.
 *
 *   open files → [ connect → hello → open … → segments over N connections → done … ] → summary
 *                  ↑───────────── connection lost, pause ─────────────┘
 */

import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "pino";
import { asFault, Fault } from "../../proto/fault.js";
import type { CompressionPolicy, Engine, SegmentQueue, TokenBucket } from "../os/engine.js";
import type { Files } from "../os/files.js";
import { type Destination, dial } from "./channel.js";
import { keptPolicy, offeredBy } from "./compression.js";
import { ConnectionLost, type FileAt } from "./engine-fault.js";
import { type FrameTap, Link } from "./link.js";
import { decodeWelcome, encodeHello, type HelloClaims, type Welcome } from "./messages.js";
import { OpenedFile, type OutgoingFile } from "./outgoing-file.js";
import { type Clock, ProgressMeter, type TransferProgress } from "./progress.js";
import { announce, conclude } from "./send-connection.js";

export interface SendRequest extends Destination {
  readonly migrationId: string;
  readonly serverId: string;
  readonly epoch: number;
  readonly token: string;
  readonly files: readonly OutgoingFile[];
  /** Parallel connections; 2 when left out. */
  readonly connections?: number;
  /** Limits on bandwidth that it shares with others; their rates may change meanwhile. */
  readonly bandwidth?: readonly TokenBucket[];
  /** `off` when left out. */
  readonly compression?: CompressionPolicy;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TransferProgress) => void;
  readonly limits?: Partial<SendLimits>;
}

export interface SendLimits {
  readonly idleMs: number;
  readonly connectMs: number;
  /** Attempts in a row that bring nothing forward before the transfer is given up. */
  readonly attempts: number;
  /** Pause after the first lost connection; doubled each time, 5 s at most. */
  readonly retryDelayMs: number;
}

export interface SendDeps {
  readonly engine: Engine;
  readonly files: Files;
  readonly clock: Clock;
  readonly log: Pick<Logger, "info" | "warn">;
  /** Tests look at frames, or corrupt them, here. */
  readonly tapOutgoing?: FrameTap;
  readonly tapIncoming?: FrameTap;
}

export interface SendSummary {
  /** Frames sent, headers included, before TLS. */
  readonly wireBytes: number;
  /** Data sent, as it is on disk: more than what travelled where it was compressed. */
  readonly sentBytes: number;
  /** Data that the target had verified before and that was not sent again. */
  readonly resumedBytes: number;
  /** Times that a lost connection was made again. */
  readonly reconnections: number;
  /** Hexadecimal root per file id; files that were finished in an earlier run are not in it. */
  readonly rootDigests: ReadonlyMap<string, string>;
}

/** A connection on which data may be sent, and how. */
interface Welcomed {
  readonly link: Link;
  readonly welcome: Welcome;
}

const LIMITS: SendLimits = { idleMs: 15_000, connectMs: 10_000, attempts: 6, retryDelayMs: 250 };
const LONGEST_PAUSE_MS = 5000;

export async function sendFiles(deps: SendDeps, request: SendRequest): Promise<SendSummary> {
  const meter = new ProgressMeter(deps.clock, progress => request.onProgress?.(progress));
  const opened: OpenedFile[] = [];
  try {
    for (const [index, file] of request.files.entries()) {
      opened.push(await OpenedFile.open(deps.files, file, index));
    }
    meter.start();
    return await new Sending(deps, request, opened, meter).run();
  } catch (thrown) {
    if (request.signal?.aborted) throw cancelled(request);
    throw asFault(thrown).during(`send disks of migration ${request.migrationId} to ${request.expectHost}`);
  } finally {
    meter.stop();
    for (const file of opened) await file.close();
  }
}

class Sending {
  readonly #deps: SendDeps;
  readonly #request: SendRequest;
  readonly #limits: SendLimits;
  readonly #opened: readonly OpenedFile[];
  readonly #meter: ProgressMeter;
  readonly #compression: CompressionPolicy;
  readonly #links = new Set<Link>();
  #wireBytes = 0;
  #sentBytes = 0;
  #resumedBytes = 0;
  #reconnections = 0;
  #verdicts = 0;

  constructor(deps: SendDeps, request: SendRequest, opened: readonly OpenedFile[], meter: ProgressMeter) {
    this.#deps = deps;
    this.#request = request;
    this.#limits = { ...LIMITS, ...request.limits };
    this.#opened = opened;
    this.#meter = meter;
    this.#compression = keptPolicy(request.compression ?? "off", deps.engine.compressions);
  }

  async run(): Promise<SendSummary> {
    for (let fruitless = 1; ; fruitless += 1) {
      const before = this.#verdicts;
      const fault = await this.#attempt();
      if (fault === undefined) return this.#summary();
      if (this.#verdicts > before) fruitless = 1;
      if (!(fault instanceof ConnectionLost) || fruitless >= this.#limits.attempts) throw fault;
      const delayMs = Math.min(this.#limits.retryDelayMs * 2 ** (fruitless - 1), LONGEST_PAUSE_MS);
      const { migrationId } = this.#request;
      this.#deps.log.warn(
        { migrationId, delayMs, reason: fault.message },
        "transfer interrupted, trying again",
      );
      await pause(
        delayMs,
        undefined,
        this.#request.signal === undefined ? {} : { signal: this.#request.signal },
      );
      this.#reconnections += 1;
    }
  }

  /** One attempt from connect to the last root; undefined when all is done. */
  async #attempt(): Promise<Fault | undefined> {
    const attempt = randomBytes(16).toString("hex");
    const stop = new AbortController();
    const onAbort = () => stop.abort(cancelled(this.#request));
    this.#request.signal?.addEventListener("abort", onAbort, { once: true });
    if (this.#request.signal?.aborted) onAbort();
    stop.signal.addEventListener("abort", () => this.#endLinks(asFault(stop.signal.reason)), { once: true });
    try {
      const first = await this.#connect(attempt, 0, stop.signal);
      const { link, welcome } = first;
      const queue = new this.#deps.engine.SegmentQueue(welcome.algorithm);
      try {
        await this.#fill(queue, link, welcome.algorithm);
        await this.#sendAll(queue, first, attempt, stop);
      } finally {
        this.#verdicts += queue.verified;
        this.#sentBytes += sentOf(queue);
      }
      for (const file of this.#opened) if (!file.isFinished) await conclude(link, file);
      return undefined;
    } catch (thrown) {
      stop.abort(asFault(thrown));
      return asFault(stop.signal.reason);
    } finally {
      this.#request.signal?.removeEventListener("abort", onAbort);
      for (const link of this.#links) this.#forget(link);
    }
  }

  /** Asks what the target has of each file; the rest is to be sent. */
  async #fill(queue: SegmentQueue, link: Link, algorithm: string): Promise<void> {
    let place = 0;
    for (const file of this.#opened) {
      if (file.isFinished) continue;
      this.#meter.expectFile(file.index, file.id, file.sizeBytes, file.sizeBytes - file.dataBytes);
      const hadBytes = await announce(link, file, algorithm);
      this.#resumedBytes += hadBytes;
      this.#meter.skipped(file.index, hadBytes);
      if (file.isFinished) continue;
      queue.add(file.index, file.fd, file.digests, file.older);
      const at = place * 2;
      this.#meter.follow(file.index, () => {
        const counts = queue.counts();
        return { doneBytes: counts[at] ?? 0, skippedBytes: counts[at + 1] ?? 0 };
      });
      place += 1;
    }
  }

  /** All connections drain one queue; the first failure stops the others, and all have ended when this settles. */
  async #sendAll(
    queue: SegmentQueue,
    first: Welcomed,
    attempt: string,
    stop: AbortController,
  ): Promise<void> {
    const { connections = 2, bandwidth = [] } = this.#request;
    const runs = Array.from({ length: Math.max(1, connections) }, async (_, index) => {
      try {
        const { link, welcome } = index === 0 ? first : await this.#connect(attempt, index, stop.signal);
        const compression = welcome.compression === "none" ? "off" : this.#compression;
        await link.sendSegments(queue, bandwidth, compression, this.#fileAt);
      } catch (thrown) {
        stop.abort(asFault(thrown));
      }
    });
    await Promise.all(runs);
    stop.signal.throwIfAborted();
  }

  readonly #fileAt: FileAt = index => this.#opened[index] ?? { id: `file ${index}`, path: "" };

  async #connect(attempt: string, connection: number, signal: AbortSignal): Promise<Welcomed> {
    const { migrationId, serverId, epoch, token, files } = this.#request;
    const { engine, tapOutgoing, tapIncoming } = this.#deps;
    const { idleMs, connectMs } = this.#limits;
    const dialled = await dial(engine, this.#request, connectMs, signal);
    const link = new Link(dialled, { peer: this.#request.expectHost, idleMs, tapOutgoing, tapIncoming });
    this.#links.add(link);
    const { algorithms } = engine;
    const ids = files.map(file => file.id);
    const who = { purpose: "copy" as const, migrationId, serverId, epoch };
    const can = { algorithms: [...algorithms], compressions: offeredBy(this.#compression) };
    const claims: HelloClaims = { ...who, attempt, connection, files: ids, ...can };
    await link.send("hello", {}, encodeHello(claims, token, await link.channelBinding()));
    return { link, welcome: await awaitWelcome(link) };
  }

  /** A lost connection drops its siblings silently; anything else is told to the target. */
  #endLinks(fault: Fault): void {
    for (const link of this.#links) {
      if (fault instanceof ConnectionLost) link.drop(fault);
      else link.refuse(fault);
    }
  }

  #forget(link: Link): void {
    this.#wireBytes += link.sentBytes;
    this.#links.delete(link);
    link.close();
  }

  #summary(): SendSummary {
    const rooted = this.#opened.filter(file => file.digests.isComplete);
    return {
      wireBytes: this.#wireBytes,
      sentBytes: this.#sentBytes,
      resumedBytes: this.#resumedBytes,
      reconnections: this.#reconnections,
      rootDigests: new Map(rooted.map(file => [file.id, file.digests.root().toString("hex")])),
    };
  }
}

/** Of all files; the counts alternate between what was sent and what was skipped. */
const sentOf = (queue: SegmentQueue): number =>
  queue.counts().reduce((sum, bytes, at) => (at % 2 === 0 ? sum + bytes : sum), 0);

/**
 * A target that does not expect us may just not do so yet, its agent being restarted: as good as not connected. One
 * that closes without a word has refused our certificate, or is not there.
 */
async function awaitWelcome(link: Link): Promise<Welcome> {
  try {
    return decodeWelcome((await link.expect("welcome")).payload);
  } catch (thrown) {
    const fault = asFault(thrown);
    const isSilent = fault instanceof ConnectionLost && fault.code === "unreachable";
    if (fault.code !== "not-found" && !isSilent) throw fault;
    const fix = "check that both agents run and that their certificates are of one authority";
    throw new ConnectionLost("unreachable", fault.message, { fix, ...fault.detail }, { cause: fault });
  }
}

const cancelled = ({ migrationId }: SendRequest): Fault =>
  new Fault("cancelled", `transfer of migration ${migrationId} was cancelled`);
