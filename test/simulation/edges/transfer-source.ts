/**
 * Stands for `agent/transfer/source.ts`: files are read through the real `OpenedFile` and sent segment by segment; what the
 * target has verified is not sent again, a lost connection is tried again with growing pauses.
 */

import { type LeafRange, leafBytesAt } from "../../../agent/transfer/digest-tree.js";
import { ConnectionLost } from "../../../agent/transfer/engine-fault.js";
import { OpenedFile } from "../../../agent/transfer/outgoing-file.js";
import { LEAF_BYTES } from "../../../agent/transfer/protocol.js";
import type { SendDeps, SendRequest, SendSummary } from "../../../agent/transfer/source.js";
import { asFault, Fault } from "../../../proto/fault.js";
import { step, stepNow } from "../world/process.js";
import { exchange } from "./data-connection.js";
import { digestOf, isZero } from "./digest-tree.js";
import { fileOf } from "./file-calls.js";
import { setTimeout as pause } from "./timers-promises.js";
import type { Greeting, Leaf } from "./transfer-target.js";

export type * from "../../../agent/transfer/source.js";

const ATTEMPTS = 6;
const RETRY_MS = 250;
const LONGEST_PAUSE_MS = 5_000;
const SEGMENT_LEAVES = 8;
const ALGORITHM = "sha256";

export async function sendFiles(deps: SendDeps, request: SendRequest): Promise<SendSummary> {
  const opened: OpenedFile[] = [];
  try {
    for (const [index, file] of request.files.entries())
      opened.push(await OpenedFile.open(deps.files, file, index));
    return await new Sending(request, opened).run();
  } catch (thrown) {
    if (request.signal?.aborted)
      throw new Fault("cancelled", `transfer of ${request.migrationId} was cancelled`);
    throw asFault(thrown).during(`send disks of migration ${request.migrationId} to ${request.expectHost}`);
  } finally {
    for (const file of opened) await file.close();
  }
}

class Sending {
  readonly #request: SendRequest;
  readonly #opened: readonly OpenedFile[];
  #verdicts = 0;
  #wireBytes = 0;

  constructor(request: SendRequest, opened: readonly OpenedFile[]) {
    this.#request = request;
    this.#opened = opened;
  }

  async run(): Promise<SendSummary> {
    for (let fruitless = 1, reconnections = 0; ; fruitless += 1, reconnections += 1) {
      const before = this.#verdicts;
      try {
        await this.#attempt();
        const bytes = this.#wireBytes;
        return { wireBytes: bytes, sentBytes: bytes, resumedBytes: 0, reconnections, rootDigests: new Map() };
      } catch (thrown) {
        if (this.#request.signal?.aborted) throw thrown;
        const fault = asFault(thrown);
        if (this.#verdicts > before) fruitless = 1;
        if (!isLost(fault) || fruitless >= ATTEMPTS) throw fault;
        const delayMs = Math.min(RETRY_MS * 2 ** (fruitless - 1), LONGEST_PAUSE_MS);
        await pause(delayMs, undefined, signalOf(this.#request));
      }
    }
  }

  async #attempt(): Promise<void> {
    const process = stepNow();
    const attempt = process.machine.random.uuid();
    const { migrationId, serverId, epoch, token } = this.#request;
    const host = process.machine.name;
    const greeting: Greeting = { purpose: "copy", migrationId, serverId, epoch, token, host, attempt };
    await exchange(this.#request, 200, listener => void listener.admit(greeting));
    for (const file of this.#opened) await this.#send(file, greeting);
  }

  async #send(file: OpenedFile, greeting: Greeting): Promise<void> {
    const { attempt } = greeting;
    const session = <T>(sizeBytes: number, body: (session: NonNullable<SessionOf>) => Promise<T>) => {
      this.#request.signal?.throwIfAborted();
      return exchange(this.#request, sizeBytes, listener => {
        const found = listener.admit(greeting);
        if (found === undefined)
          throw new ConnectionLost("unreachable", "the transfer is not expected any more");
        return body(found);
      });
    };
    const { index, request } = file;
    const known = await session(200, target => target.open(attempt, index, request));
    if (Buffer.isBuffer(known)) return;
    file.forget(ALGORITHM);
    for (const { first, count } of await segmentsOf(file)) {
      const leaves = await this.#read(file, first, count);
      const isKnown = Array.from({ length: count }, (_, at) => known.has(first + at)).every(Boolean);
      if (isKnown) continue;
      let wrong = await session(sizeOf(leaves), target => target.write(attempt, index, first, count, leaves));
      this.#wireBytes += sizeOf(leaves);
      while (wrong.length > 0) wrong = await this.#resend(file, leaves, wrong, session, attempt);
      this.#verdicts += 1;
    }
    await file.requireUnchanged();
    const root = file.digests.root();
    await session(100, target => target.finish(attempt, index, root));
    this.#verdicts += 1;
  }

  async #resend(
    file: OpenedFile,
    leaves: readonly Leaf[],
    wrong: readonly number[],
    session: <T>(sizeBytes: number, body: (session: NonNullable<SessionOf>) => Promise<T>) => Promise<T>,
    attempt: string,
  ): Promise<number[]> {
    const again = [];
    for (const leaf of wrong) {
      const sent = leaves.filter(({ index }) => index === leaf);
      again.push(
        ...(await session(sizeOf(sent), target => target.write(attempt, file.index, leaf, 1, sent))),
      );
    }
    return again;
  }

  /** Every leaf, for the root; those that hold anything are answered. */
  async #read(file: OpenedFile, first: number, count: number): Promise<Leaf[]> {
    const process = await step();
    const leaves: Leaf[] = [];
    for (let index = first; index < first + count; index += 1) {
      if (index * LEAF_BYTES >= fileOf(process, file.fd).inode.data.length) {
        file.digests.setZero(index, first + count - index);
        break;
      }
      const bytes = fileOf(process, file.fd).read(leafBytesAt(index, file.sizeBytes), index * LEAF_BYTES);
      if (bytes.length < leafBytesAt(index, file.sizeBytes))
        throw new Fault("conflict", `${file.id} at ${file.path} shrank while it was copied`);
      if (isZero(bytes)) {
        file.digests.setZero(index, 1);
        continue;
      }
      const digest = digestOf(bytes);
      file.digests.set(index, digest);
      leaves.push({ index, bytes, digest });
    }
    return leaves;
  }
}

/** Some leaves each; the hole at the end is one. */
async function segmentsOf({ fd, digests: { leafCount } }: OpenedFile): Promise<LeafRange[]> {
  const { inode } = fileOf(await step(), fd);
  const dataLeaves = Math.min(leafCount, Math.ceil(inode.data.length / LEAF_BYTES));
  const segments: LeafRange[] = [];
  for (let first = 0; first < dataLeaves; first += SEGMENT_LEAVES)
    segments.push({ first, count: Math.min(SEGMENT_LEAVES, dataLeaves - first) });
  return dataLeaves < leafCount
    ? [...segments, { first: dataLeaves, count: leafCount - dataLeaves }]
    : segments;
}

type SessionOf = ReturnType<import("./transfer-target.js").TransferListener["admit"]>;

/** A target that does not expect us may just not do so yet, its agent being restarted. */
const isLost = (fault: Fault): boolean => fault instanceof ConnectionLost || fault.code === "not-found";

const sizeOf = (leaves: readonly Leaf[]): number =>
  leaves.reduce((sum, { bytes }) => sum + bytes.length, 100);

const signalOf = ({ signal }: SendRequest) => (signal === undefined ? {} : { signal });
