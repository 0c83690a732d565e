/**
 * Stands for `agent/transfer/target.ts`: the data port without TLS and frames. Who may send, which epoch counts, what an
 * older transfer must finish first, and when a silent source is given up, is as at the real one; the files are received
 * by the real `PartFile` with the engine of the simulation, flushes, read-back, journals and all.
 */

import { runsOf } from "../../../agent/transfer/digest-tree.js";
import { ConnectionLost } from "../../../agent/transfer/engine-fault.js";
import type { OpenRequest } from "../../../agent/transfer/messages.js";
import { PartFile } from "../../../agent/transfer/part-file.js";
import { LEAF_BYTES } from "../../../agent/transfer/protocol.js";
import { type CopiedFile, type CopyReceipt, copiedFile } from "../../../agent/transfer/receipt.js";
import type { ExpectedTransfer, SessionDeps } from "../../../agent/transfer/receive-session.js";
import { requireSpace } from "../../../agent/transfer/required-space.js";
import type { Expectation, ExpectedProbe } from "../../../agent/transfer/target.js";
import { asFault, Fault } from "../../../proto/fault.js";
import { type Process, stepNow } from "../world/process.js";
import type { SimulatedPart } from "./engine.js";

export type { Expectation, ExpectedProbe } from "../../../agent/transfer/target.js";

const ABSENT_MS = 60_000;
const ALGORITHM = "sha256";

/** What a connection says of itself. */
export interface Greeting {
  readonly purpose: "copy" | "probe";
  readonly migrationId: string;
  readonly serverId: string;
  readonly epoch: number;
  readonly token: string;
  readonly host: string;
  readonly attempt: string;
}

export interface Leaf {
  readonly index: number;
  readonly bytes: Buffer;
  readonly digest: Buffer;
}

export class TransferListener {
  readonly process: Process = stepNow();
  readonly #deps: Omit<SessionDeps, "absentMs">;
  readonly #sessions = new Map<string, Session>();
  readonly #probes = new Map<string, ExpectedProbe>();
  readonly #epochs = new Map<string, number>();

  constructor(deps: Omit<SessionDeps, "absentMs">) {
    this.#deps = deps;
  }

  async listen(address: string, port: number): Promise<{ readonly port: number }> {
    const process = stepNow();
    process.machine.world.network.listen(`${address}:${port}`, process, this);
    return { port };
  }

  reloadTls(): void {}

  expect(expected: ExpectedTransfer): Expectation {
    this.#requireCurrent(expected);
    const known = [...this.#sessions.values()].filter(
      ({ expected: { serverId } }) => serverId === expected.serverId,
    );
    if (known.some(session => session.expected.epoch === expected.epoch && !session.hasEnded))
      throw new Fault(
        "conflict",
        `a transfer of ${expected.serverId} at epoch ${expected.epoch} is under way`,
      );
    for (const session of known) this.#sessions.delete(session.expected.migrationId);
    const older = Promise.all(known.map(session => session.end(stale(session.expected.migrationId))));
    const session = new Session(expected, this.#deps, older);
    this.#sessions.set(expected.migrationId, session);
    return { done: session.done, abort: reason => session.end(new Fault("cancelled", reason)) };
  }

  admitProbe(expected: ExpectedProbe): () => void {
    this.#requireCurrent(expected);
    this.#probes.set(expected.migrationId, expected);
    return () => {
      if (this.#probes.get(expected.migrationId) === expected) this.#probes.delete(expected.migrationId);
    };
  }

  async close(): Promise<void> {
    const gone = new ConnectionLost("unreachable", "the agent is stopping");
    await Promise.all([...this.#sessions.values()].map(session => session.end(gone)));
  }

  /** The session that a connection may speak to; none for a probe. Throws what the real port would answer. */
  admit(greeting: Greeting): Session | undefined {
    const { purpose, migrationId, serverId, epoch, host, token } = greeting;
    const known = this.#epochs.get(serverId) ?? 0;
    if (epoch < known) throw new Fault("stale-epoch", `${purpose} of ${migrationId} is refused`);
    const session = purpose === "copy" ? this.#sessions.get(migrationId) : undefined;
    const expected = session?.expected ?? (purpose === "probe" ? this.#probes.get(migrationId) : undefined);
    if (expected === undefined || expected.epoch !== epoch)
      throw new Fault("not-found", `no ${purpose} of migration ${migrationId} is expected here`);
    if (expected.sourceHost !== host)
      throw new Fault("permission-denied", `${purpose} of ${migrationId} by another host`);
    if (expected.serverId !== serverId || expected.token !== token)
      throw new Fault("unauthenticated", `wrong token for migration ${migrationId}`);
    session?.supersede(greeting.attempt);
    return session;
  }

  #requireCurrent({ serverId, epoch }: ExpectedProbe): void {
    if (epoch < (this.#epochs.get(serverId) ?? 0))
      throw new Fault("stale-epoch", `a transfer of ${serverId} is refused`);
    this.#epochs.set(serverId, epoch);
  }
}

const stale = (migrationId: string): Fault =>
  new Fault("stale-epoch", `transfer of ${migrationId} was overruled`);

export class Session {
  readonly expected: ExpectedTransfer;
  readonly done: Promise<CopyReceipt>;
  readonly #deps: Omit<SessionDeps, "absentMs">;
  readonly #settle: PromiseWithResolvers<CopyReceipt> = Promise.withResolvers();
  readonly #parts = new Map<number, PartFile>();
  readonly #finished = new Map<number, CopiedFile>();
  readonly #suspects = new Set<string>();
  readonly #startedAtMs: number;
  readonly #ready: Promise<unknown>;
  /** What is written now; the end waits for it. */
  #underWay: Promise<unknown> = Promise.resolve();
  #attempt = "";
  #failure: Fault | undefined;
  #ending: Promise<void> | undefined;
  #absence: NodeJS.Timeout | undefined;
  #resumedBytes = 0;
  #wireBytes = 0;
  readonly #onAbort = () => void this.end(new Fault("cancelled", "the operation was cancelled"));

  constructor(expected: ExpectedTransfer, deps: Omit<SessionDeps, "absentMs">, ready: Promise<unknown>) {
    this.expected = expected;
    this.#deps = deps;
    this.#ready = ready;
    this.#startedAtMs = deps.clock.nowMs();
    this.done = this.#settle.promise;
    this.done.catch(() => {});
    this.#awaitSource();
    expected.signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (expected.signal?.aborted) this.#onAbort();
    if (expected.files.length === 0) void this.end(undefined);
  }

  get hasEnded(): boolean {
    return this.#ending !== undefined;
  }

  supersede(attempt: string): void {
    this.#attempt = attempt;
  }

  /** Which leaves need not be sent; a root when the file is whole already. */
  open(attempt: string, index: number, request: OpenRequest): Promise<ReadonlySet<number> | Buffer> {
    return this.#inTurn(attempt, async () => {
      const incoming = this.#incoming(index);
      const known = this.#finished.get(index);
      if (known !== undefined) return Buffer.from(known.rootDigest, "hex");
      if (request.sizeBytes !== incoming.sizeBytes)
        throw new Fault("conflict", `${incoming.id} is not the size that was planned`);
      await this.#parts.get(index)?.close();
      const { engine, files } = this.#deps;
      const policy = { algorithm: ALGORITHM, isLastPass: true, trustsManifest: true, readsBack: true };
      const place = { files, incoming, migrationId: this.expected.migrationId, ...policy };
      const part = await PartFile.open(engine, place, request);
      this.#parts.set(index, part);
      await requireSpace([{ part, dataBytes: request.dataBytes }], incoming);
      this.#resumedBytes += part.verified.dataBytes;
      if (part.isFinished) return this.#finish(index, part, part.verified.root());
      const have = [...runsOf(part.verified)].filter(({ state }) => state !== "unknown");
      return new Set(
        have.flatMap(({ first, count }) => Array.from({ length: count }, (_, at) => first + at)),
      );
    });
  }

  /** One segment: written, flushed, read back and compared. Answers the leaves to be sent once more. */
  write(
    attempt: string,
    index: number,
    first: number,
    count: number,
    leaves: readonly Leaf[],
  ): Promise<number[]> {
    return this.#inTurn(attempt, async () => {
      const part = this.#part(index).part as SimulatedPart;
      for (const leaf of leaves) {
        this.#wireBytes += leaf.bytes.length;
        await part.write(leaf.index, leaf.bytes);
      }
      const expected = new Map(leaves.map(leaf => [leaf.index, leaf.digest]));
      const wrong = await part.verify(first, count, expected);
      for (const leaf of wrong) {
        const key = `${index}:${leaf}`;
        if (this.#suspects.has(key))
          throw new Fault(
            "corrupt",
            `what was read back of ${this.#incoming(index).id} is not what the source read`,
          );
        this.#suspects.add(key);
      }
      return wrong;
    });
  }

  finish(attempt: string, index: number, root: Buffer): Promise<Buffer> {
    return this.#inTurn(attempt, () => this.#finish(index, this.#part(index), root));
  }

  /** The one way out; the first reason stands. */
  end(fault: Fault | undefined): Promise<void> {
    this.#failure ??= this.#ending === undefined ? fault : undefined;
    this.#ending ??= this.#windUp(fault);
    return this.#ending;
  }

  async #finish(index: number, part: PartFile, root: Buffer): Promise<Buffer> {
    await part.finish(root);
    this.#parts.delete(index);
    await part.close();
    this.#finished.set(index, copiedFile(this.#incoming(index), part, root));
    if (this.#finished.size === this.expected.files.length) void this.end(undefined);
    return root;
  }

  /** One thing at a time, and nothing for an attempt that was superseded or a transfer that is over. */
  async #inTurn<T>(attempt: string, body: () => Promise<T>): Promise<T> {
    await this.#ready;
    const before = this.#underWay;
    const turn = before.then(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      if (attempt !== this.#attempt)
        throw new ConnectionLost("unreachable", "superseded by a newer connection");
      clearTimeout(this.#absence);
      try {
        return await body();
      } catch (thrown) {
        const fault = asFault(thrown);
        if (!(fault instanceof ConnectionLost)) void this.end(fault);
        throw fault;
      } finally {
        if (!this.hasEnded) this.#awaitSource();
      }
    });
    this.#underWay = turn.catch(() => {});
    return await turn;
  }

  #part(index: number): PartFile {
    const part = this.#parts.get(index);
    if (part === undefined) throw new ConnectionLost("unreachable", `file ${index} is not open`);
    return part;
  }

  #incoming(index: number) {
    const incoming = this.expected.files[index];
    if (incoming === undefined) throw new Fault("internal", `file ${index} was never announced`);
    return incoming;
  }

  #awaitSource(): void {
    clearTimeout(this.#absence);
    const { migrationId, sourceHost } = this.expected;
    const message = `transfer of ${migrationId}: ${sourceHost} did not connect for ${ABSENT_MS} ms`;
    this.#absence = setTimeout(() => void this.end(new Fault("unreachable", message)), ABSENT_MS);
  }

  async #windUp(fault: Fault | undefined): Promise<void> {
    clearTimeout(this.#absence);
    this.expected.signal?.removeEventListener("abort", this.#onAbort);
    if (fault === undefined) return this.#settle.resolve(this.#receipt());
    await this.#underWay;
    for (const part of this.#parts.values()) await part.close();
    this.#parts.clear();
    this.#settle.reject(fault);
  }

  #receipt(): CopyReceipt {
    return {
      algorithm: ALGORITHM,
      leafBytes: LEAF_BYTES,
      files: this.expected.files.flatMap((_, index) => this.#finished.get(index) ?? []),
      wireBytes: this.#wireBytes,
      startedAtMs: this.#startedAtMs,
      finishedAtMs: this.#deps.clock.nowMs(),
      resumedBytes: this.#resumedBytes,
    };
  }
}
