/**
 * File primitives of the host that Node's own `fs` lacks, as one interface over the native addon.
 *
 * Offsets and sizes are bytes. All calls work on open descriptors (numbers), run off the JavaScript thread and
 * reject with a Node-style error (`code`, `errno`, `syscall`). Nothing here decides anything: policy is above.
 */

import type { DigestTree } from "../../native/lib/transfer.js";

/**
 * What is known of the leaves (256 KiB) of one file: a digest for each that holds anything. Leaves become known in any
 * order, from any thread. Memory is 128 KiB per GiB that holds data and next to nothing per GiB of zeros.
 */
export type { DigestTree };

export interface Extent {
  readonly start: number;
  readonly end: number;
}

/** What makes a file the same file after a rename (SAFETY R5); compared by `isSameFile`. */
export interface FileIdentity {
  readonly device: string;
  readonly inode: string;
  /** Nanoseconds since the epoch as decimal text; "0" where the file system records no birth time. */
  readonly birthNs: string;
}

export interface FileFacts extends FileIdentity {
  readonly sizeBytes: number;
  readonly allocatedBytes: number;
  readonly mtimeNs: string;
  readonly ctimeNs: string;
}

export interface Files {
  /** Data ranges by SEEK_DATA / SEEK_HOLE; a file system without them answers one extent. */
  extents(fd: number, offset: number, length: number): Promise<readonly Extent[]>;
  punchHole(fd: number, offset: number, length: number): Promise<void>;
  zeroRange(fd: number, offset: number, length: number): Promise<void>;
  allocate(fd: number, offset: number, length: number): Promise<void>;
  /** FICLONE; rejects with EOPNOTSUPP or EXDEV where the file system cannot. */
  clone(sourceFd: number, targetFd: number): Promise<void>;
  /** Bytes copied; less than asked only at end of file. */
  copyRange(
    sourceFd: number,
    sourceOffset: number,
    targetFd: number,
    targetOffset: number,
    length: number,
  ): Promise<number>;
  /** posix_fadvise(POSIX_FADV_DONTNEED). */
  dropCache(fd: number, offset: number, length: number): Promise<void>;
  /** statx: identity, sizes and times. */
  facts(fd: number): Promise<FileFacts>;
  /** statfs: magic number of the file system, free and total bytes available to an ordinary user. */
  fileSystem(
    fd: number,
  ): Promise<{ readonly magic: number; readonly freeBytes: number; readonly totalBytes: number }>;
  /** statx STATX_DIOALIGN; both 0 when unknown (kernel before 6.1 or file system without it). */
  directAlignment(fd: number): Promise<{ readonly memory: number; readonly offset: number }>;
  /** An empty digest tree for a file of this size; of the fastest algorithm that this build has unless told. */
  newDigestTree(sizeBytes: number, algorithm?: string): DigestTree;
  /** F_SETLEASE F_WRLCK: true when granted (nobody else has the file open), false on EAGAIN. Held until close. */
  takeWriteLease(fd: number): Promise<boolean>;
  /** False once somebody else waits for the file: the lease is being broken, stop reading (SAFETY R7). */
  holdsWriteLease(fd: number): Promise<boolean>;
  /** OFD write lock on bytes 100–209, QEMU's own image lock range; true when granted. Held until close. */
  takeQemuLock(fd: number): Promise<boolean>;
  /** flock(LOCK_EX | LOCK_NB): true when granted. */
  lockExclusive(fd: number): Promise<boolean>;
  /** renameat2(RENAME_NOREPLACE), then fsync of both directories. Rejects with EEXIST when the new name is taken. */
  renameNoReplace(oldPath: string, newPath: string): Promise<void>;
  /** openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS) below a directory descriptor; returns a new descriptor. */
  openBeneath(directoryFd: number, relativePath: string, flags: number, mode: number): Promise<number>;
  /** One datagram to $NOTIFY_SOCKET's path (sd_notify). */
  notify(socketPath: string, message: string): Promise<void>;
}
