/**
 * The copy receipt: what the target states about the files it received (SAFETY R11, R12).
 *
 * Bytes at a time: the roots hold for the files as they were when they got their final names. Everything in it is
 * what really took place, the read-back mode above all.
 */

import type { IncomingFile } from "./incoming-file.js";
import type { PartFile } from "./part-file.js";
import type { ReadBackMode } from "./read-back.js";

export interface CopiedFile {
  readonly id: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** Hexadecimal root of the digest tree. */
  readonly rootDigest: string;
  /** Bytes in leaves that hold anything; the rest of the size is `holeBytes`. */
  readonly dataBytes: number;
  readonly holeBytes: number;
  readonly readBackMode: ReadBackMode;
}

export interface CopyReceipt {
  readonly algorithm: string;
  readonly leafBytes: number;
  readonly files: readonly CopiedFile[];
  /** Frames received, headers included, before TLS. */
  readonly wireBytes: number;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  /** Data that earlier connections or an earlier run had brought and that was not sent again. */
  readonly resumedBytes: number;
}

/** The line of one file that is finished under this root. */
export function copiedFile(incoming: IncomingFile, part: PartFile, root: Buffer): CopiedFile {
  const { sizeBytes, dataBytes } = part.verified;
  return {
    id: incoming.id,
    path: incoming.targetPath,
    sizeBytes,
    rootDigest: root.toString("hex"),
    dataBytes,
    holeBytes: sizeBytes - dataBytes,
    readBackMode: part.readBackMode,
  };
}
