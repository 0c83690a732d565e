/**
 * A file at the source while it is sent: opened once, its leaves digested as they are read.
 *
 * What makes it the same file (identity, size, times) is taken when it is opened and compared before its root is
 * stated: a file that changed under the copy is a fault, not a copy.
 */

import { constants } from "node:fs";
import { Fault } from "../../proto/fault.js";
import { isSameFile } from "../disk/file-identity.js";
import type { DigestTree, FileFacts, FileIdentity, Files } from "../os/files.js";
import { leafBytesAt, leafRanges } from "./digest-tree.js";
import { closeFd, openFd } from "./fd-io.js";
import { fileFault } from "./file-fault.js";
import type { OpenRequest } from "./messages.js";
import { LEAF_BYTES } from "./protocol.js";

export interface OutgoingFile {
  readonly id: string;
  readonly path: string;
  /** Refuse unless the file is this one. */
  readonly identity?: FileIdentity;
  /** Read through this descriptor, which stays the caller's: opening the path would break the lease that it holds. */
  readonly fd?: number;
  /** What it is, where the file system does not say: a block device has no size and no times there. */
  readonly facts?: () => Promise<FileFacts>;
}

/** Extents are asked for this much at a time, so that a fragmented disk does not fill the memory. */
const EXTENT_WINDOW_LEAVES = 65_536;

export class OpenedFile {
  readonly id: string;
  readonly path: string;
  readonly index: number;
  readonly fd: number;
  readonly sizeBytes: number;
  /** Leaf-sized upper bound of what has to be sent. */
  readonly dataBytes: number;
  readonly #facts: FileFacts;
  readonly #factsNow: () => Promise<FileFacts>;
  readonly #files: Files;
  readonly #isBorrowed: boolean;
  /** Known leaves: what this attempt read and what the target has verified. */
  digests: DigestTree;
  /** What the target has of an older source: equal leaves are not sent. */
  older: DigestTree | undefined;
  isFinished = false;

  private constructor(
    files: Files,
    { id, path, fd, facts }: OutgoingFile,
    opened: { index: number; fd: number; facts: FileFacts; dataBytes: number },
  ) {
    this.id = id;
    this.path = path;
    this.index = opened.index;
    this.fd = opened.fd;
    this.sizeBytes = opened.facts.sizeBytes;
    this.dataBytes = opened.dataBytes;
    this.#facts = opened.facts;
    this.#factsNow = facts ?? (() => files.facts(opened.fd));
    this.#files = files;
    this.#isBorrowed = fd !== undefined;
    this.digests = files.newDigestTree(this.sizeBytes);
  }

  static async open(files: Files, outgoing: OutgoingFile, index: number): Promise<OpenedFile> {
    const attempt = `open ${outgoing.id} at ${outgoing.path}`;
    let fd: number | undefined;
    try {
      fd = outgoing.fd ?? (await openFd(outgoing.path, constants.O_RDONLY | constants.O_NOFOLLOW));
      const facts = await (outgoing.facts?.() ?? files.facts(fd));
      requireIdentity(outgoing, facts);
      const dataBytes = await countDataBytes(files, fd, facts.sizeBytes);
      return new OpenedFile(files, outgoing, { index, fd, facts, dataBytes });
    } catch (thrown) {
      if (fd !== undefined && fd !== outgoing.fd) await closeFd(fd);
      throw fileFault(thrown, attempt);
    }
  }

  get request(): OpenRequest {
    const { device, inode, birthNs, mtimeNs, ctimeNs } = this.#facts;
    const stamp = { device, inode, birthNs, mtimeNs, ctimeNs };
    return { sizeBytes: this.sizeBytes, dataBytes: this.dataBytes, stamp };
  }

  /** Before an attempt: nothing is known until the target says what it has. */
  forget(algorithm: string): void {
    this.digests = this.#files.newDigestTree(this.sizeBytes, algorithm);
    this.older = undefined;
  }

  /** What the target says to have of an older source. */
  olderTree(): DigestTree {
    this.older ??= this.#files.newDigestTree(this.sizeBytes, this.digests.algorithm);
    return this.older;
  }

  async requireUnchanged(): Promise<void> {
    const now = await this.#factsNow();
    const { sizeBytes, mtimeNs, ctimeNs } = this.#facts;
    if (now.sizeBytes === sizeBytes && now.mtimeNs === mtimeNs && now.ctimeNs === ctimeNs) return;
    throw new Fault("conflict", `${this.id} at ${this.path} changed while it was copied`, {
      have: `${now.sizeBytes} bytes, modified ${now.mtimeNs}`,
      need: `${sizeBytes} bytes, modified ${mtimeNs}`,
      fix: "find what writes to the disk of a stopped guest",
    });
  }

  async close(): Promise<void> {
    if (!this.#isBorrowed) await closeFd(this.fd);
  }
}

function requireIdentity({ id, path, identity }: OutgoingFile, facts: FileFacts): void {
  if (identity === undefined) return;
  if (isSameFile(facts, identity)) return;
  throw new Fault("conflict", `${id} at ${path} is another file than the one that was fenced`, {
    have: `device ${facts.device} inode ${facts.inode}`,
    need: `device ${identity.device} inode ${identity.inode}`,
  });
}

async function countDataBytes(files: Files, fd: number, sizeBytes: number): Promise<number> {
  const leafCount = Math.ceil(sizeBytes / LEAF_BYTES);
  let dataBytes = 0;
  for (let first = 0; first < leafCount; first += EXTENT_WINDOW_LEAVES) {
    const within = { first, count: Math.min(EXTENT_WINDOW_LEAVES, leafCount - first) };
    const offset = first * LEAF_BYTES;
    const length = Math.min(within.count * LEAF_BYTES, sizeBytes - offset);
    for (const range of leafRanges(await files.extents(fd, offset, length), within)) {
      const last = range.first + range.count - 1;
      dataBytes += (range.count - 1) * LEAF_BYTES + leafBytesAt(last, sizeBytes);
    }
  }
  return dataBytes;
}
