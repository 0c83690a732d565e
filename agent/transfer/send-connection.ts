/**
 * What the source says around the data: which file, what the target has of it, and the root that it must have in the end.
 *
 * The data itself, and the target's verdicts on it, are the engine's.
 */

import type { Link } from "./link.js";
import { encodeOpen } from "./messages.js";
import type { OpenedFile } from "./outgoing-file.js";
import {
  DIGEST_BYTES,
  decodeLength,
  FLAG_COMPARE,
  type Frame,
  LEAF_BYTES,
  protocolFault,
} from "./protocol.js";

/** Announces a file and takes over what the target has verified of it; answers how many bytes of data that is. */
export async function announce(link: Link, file: OpenedFile, algorithm: string): Promise<number> {
  file.forget(algorithm);
  await link.send("open", { file: file.index }, encodeOpen(file.request));
  for (;;) {
    const frame = await link.expect("have", "have-zero", "ready", "root-ok");
    if (frame.file !== file.index) throw protocolFault(`${frame.type} frame of another file`);
    if (frame.type === "root-ok") file.isFinished = true;
    if (frame.type === "root-ok" || frame.type === "ready") break;
    takeOver(frame, file);
  }
  return file.isFinished ? file.dataBytes : file.digests.dataBytes;
}

/** States the root of a file of which every leaf is verified. */
export async function conclude(link: Link, file: OpenedFile): Promise<void> {
  await file.requireUnchanged();
  const digest = file.digests.root();
  await link.send("done", { file: file.index, digest });
  const answer = await link.expect("root-ok");
  if (answer.file !== file.index || !answer.digest.equals(digest))
    throw protocolFault("root-ok of another file");
  file.isFinished = true;
}

function takeOver(frame: Frame, file: OpenedFile): void {
  const tree = (frame.flags & FLAG_COMPARE) === 0 ? file.digests : file.olderTree();
  const first = frame.offset / LEAF_BYTES;
  const { length } = frame.payload;
  const count = frame.type === "have" ? length / DIGEST_BYTES : decodeLength(frame) / LEAF_BYTES;
  const isInside = Number.isInteger(first) && Number.isInteger(count) && first + count <= tree.leafCount;
  if (!isInside) throw protocolFault(`${frame.type} frame beyond the file`);
  if (frame.type === "have") tree.set(first, frame.payload);
  else tree.setZero(first, count);
}
