/**
 * The target receives while the source sends; the target's copy receipt is the only proof that counts. Both sides are
 * asked under their own key, so a repeated step attaches to whichever is still at work. A server that stays on its host is
 * copied there, by one agent that is both.
 *
 * A source that has sent everything says so for ever, also to a target whose agent was killed just before it wrote its
 * receipt: such a target is offered everything once more, and takes what it does not have. One that was killed just after
 * it has everything and expects nobody: then its receipt stands, whatever the source was told.
 */

import { asFault, Fault } from "../../../proto/fault.js";
import type { CopyReceipt } from "../../../proto/gen/ferry/v1/agent.js";
import { nothingToUndo, type Reversible } from "../../saga/step.js";
import { updateMigration } from "../../store/migrations.js";
import type { MigrationWorld, PerformOptions } from "../migration-world.js";
import type { MigrationRequest } from "../request.js";
import type { FencedSource } from "./fence-source.js";
import type { PreparedTarget } from "./prepare-target.js";

export interface CopiedDisks {
  readonly copy: CopyReceipt;
}

type Known = MigrationRequest & PreparedTarget & FencedSource;

export const copyDisks: Reversible<MigrationWorld, Known, CopiedDisks> = {
  name: "copy-disks",
  limitMs: 7 * 24 * 3_600_000,

  async run(known, world) {
    const { sourceHost, targetHost } = known;
    const copy = await (sourceHost === targetHost ? copyInPlace(known, world) : copyAcross(known, world));
    if (copy === undefined) throw new Fault("internal", `${targetHost} answered no copy receipt`);
    return { copy };
  },

  done: ({ copy }, { queries, sagaId, nowMs }) =>
    updateMigration(queries, sagaId, { receipt: copy.files, progress: completed(copy) }, nowMs),

  /** What was written is removed with everything else of this migration at the target. */
  undo: nothingToUndo,
};

async function copyInPlace({ targetHost, plan, finalManifest: { files } }: Known, world: MigrationWorld) {
  const { copy } = await world.perform(
    targetHost,
    { $case: "cloneDisks", value: { plan, files } },
    { onProgress: progress => world.progress(progress) },
  );
  return copy;
}

async function copyAcross(
  { sourceHost, targetHost, plan, compression, finalManifest: { files } }: Known,
  world: MigrationWorld,
) {
  const other = new AbortController();
  const signal = AbortSignal.any([world.call.signal, other.signal]);
  const receiving = world.perform(
    targetHost,
    { $case: "receiveDisks", value: { plan, sourceHost, files } },
    { signal },
  );
  // The source knows from the start which parts are holes, and so what is left to do.
  const send = (again: Pick<PerformOptions, "effect">) =>
    world.perform(
      sourceHost,
      { $case: "sendDisks", value: { plan, targetHost, compression } },
      { signal, onProgress: progress => world.progress(progress), ...again },
    );
  const sending = sendUntil(receiving, send, () => world.pause(RECEIPT_PATIENCE_MS, signal));
  return (await bothOrFirstFault(receiving, sending, other)).copy;
}

/** From the last byte to the receipt, where nothing is wrong. */
const RECEIPT_PATIENCE_MS = 5_000;

async function sendUntil(
  received: Promise<unknown>,
  send: (again: Pick<PerformOptions, "effect">) => Promise<unknown>,
  wait: () => Promise<void>,
): Promise<void> {
  const settled = received.then(
    () => "receipt" as const,
    () => "failure" as const,
  );
  const outcome = () => Promise.race([settled, wait().then(() => "unknown" as const)]);
  for (let round = 1; ; round += 1) {
    try {
      await send(round === 1 ? {} : { effect: `copy-disks:run:${round}` });
      if ((await outcome()) !== "unknown") return;
    } catch (error) {
      if (asFault(error).code === "not-found" && (await outcome()) === "receipt") return;
      throw error;
    }
  }
}

/** When one side fails the other is left; a plain no of either says more than the silence of the other. */
async function bothOrFirstFault<Received>(
  receiving: Promise<Received>,
  sending: Promise<unknown>,
  other: AbortController,
): Promise<Received> {
  const leave = (error: unknown) => {
    other.abort(new Fault("unreachable", "the other side of the copy has failed"));
    throw error;
  };
  const [received, sent] = await Promise.allSettled([receiving.catch(leave), sending.catch(leave)]);
  if (received.status === "fulfilled" && sent.status === "fulfilled") return received.value;
  const faults = [received, sent].flatMap(side => (side.status === "rejected" ? [asFault(side.reason)] : []));
  throw faults.find(fault => !fault.isUnknown) ?? faults[0];
}

function completed({ files, startedAtMs, finishedAtMs, wireBytes }: CopyReceipt) {
  const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const dataBytes = files.reduce((sum, file) => sum + file.dataBytes, 0);
  const seconds = Math.max(finishedAtMs - startedAtMs, 1) / 1000;
  return {
    totalBytes,
    doneBytes: dataBytes,
    skippedBytes: Math.max(0, totalBytes - dataBytes),
    bytesPerSecond: Math.round(wireBytes / seconds),
    etaMs: 0,
    files: files.map(({ id, sizeBytes }) => ({ id, totalBytes: sizeBytes, doneBytes: sizeBytes })),
  };
}
