/**
 * The target's end of one connection, around the data: opens files, says what of them is there, and closes them when their
 * root is stated. What comes between is the engine's.
 */

import type { PartTable } from "../os/engine.js";
import type { DigestTree } from "../os/files.js";
import { runsOf } from "./digest-tree.js";
import type { FileAt } from "./engine-fault.js";
import type { Link } from "./link.js";
import { decodeOpen, type OpenRequest } from "./messages.js";
import type { PartFile } from "./part-file.js";
import { encodeLength, FLAG_COMPARE, type Frame, LEAF_BYTES, protocolFault } from "./protocol.js";

/** What a connection needs of the files that it brings. */
export interface ReceivingFiles {
  readonly table: PartTable;
  readonly fileAt: FileAt;
  /** Opens or finds the part of a file; a root when the file is finished already. */
  open(file: number, request: OpenRequest): Promise<PartFile | Buffer>;
  finish(file: number, root: Buffer): Promise<void>;
  /** The source has been told of a finished file, or cannot be told; if it was the last one this is the end. */
  concluded(): void;
}

/** Serves until the source closes; rejects with the fault that ended it otherwise. Nothing is written any more then. */
export async function receiveOn(link: Link, files: ReceivingFiles): Promise<void> {
  for (;;) {
    const frame = await link.serve(files.table, files.fileAt);
    if (frame === undefined) return;
    if (frame.type === "open") await open(link, files, frame);
    else if (frame.type === "done") await finish(link, files, frame);
    else throw protocolFault(`${frame.type} frame to a target`);
  }
}

async function open(link: Link, files: ReceivingFiles, { file, payload }: Frame): Promise<void> {
  const opened = await files.open(file, decodeOpen(payload));
  if (Buffer.isBuffer(opened)) return await confirm(link, files, file, opened);
  await tell(link, file, opened.verified, 0);
  if (opened.older !== undefined) await tell(link, file, opened.older, FLAG_COMPARE);
  await link.send("ready", { file });
}

/** All that a tree knows. */
async function tell(link: Link, file: number, tree: DigestTree, flags: number): Promise<void> {
  for (const { first, count, state } of runsOf(tree)) {
    const fields = { file, flags, offset: first * LEAF_BYTES };
    if (state === "data") await link.send("have", fields, tree.digestsOf(first, count));
    if (state === "zero") await link.send("have-zero", fields, encodeLength(count * LEAF_BYTES));
  }
}

async function finish(link: Link, files: ReceivingFiles, { file, digest }: Frame): Promise<void> {
  await files.finish(file, digest);
  await confirm(link, files, file, digest);
}

async function confirm(link: Link, files: ReceivingFiles, file: number, digest: Buffer): Promise<void> {
  try {
    await link.send("root-ok", { file, digest });
  } finally {
    files.concluded();
  }
}
