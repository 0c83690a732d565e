/**
 * The file addon, typed: what Node's `fs` lacks, one function per kernel call.
 *
 * Offsets and sizes are bytes. Promises reject with Node-style errors (`code`, `errno`, `syscall`, `path`); a wrong
 * argument type throws at once. Descriptors must stay open until the promise settles. No policy, no defaults.
 */

import { loadAddon } from "./load-addon.js";
import type { PoolStats } from "./pool-stats.js";

/** What statx says; `birthNs` is 0 where the file system records no birth time. */
export interface RawFacts {
  /** "major:minor". */
  readonly device: string;
  readonly inode: bigint;
  readonly birthNs: bigint;
  readonly sizeBytes: number;
  readonly allocatedBytes: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

export interface Fastio {
  /** [start, end, start, end, …] of the data ranges. */
  extents(fd: number, offset: number, length: number): Promise<Float64Array>;
  punchHole(fd: number, offset: number, length: number): Promise<void>;
  zeroRange(fd: number, offset: number, length: number): Promise<void>;
  allocate(fd: number, offset: number, length: number): Promise<void>;
  clone(sourceFd: number, targetFd: number): Promise<void>;
  copyRange(
    sourceFd: number,
    sourceOffset: number,
    targetFd: number,
    targetOffset: number,
    length: number,
  ): Promise<number>;
  dropCache(fd: number, offset: number, length: number): Promise<void>;
  facts(fd: number): Promise<RawFacts>;
  fileSystem(
    fd: number,
  ): Promise<{ readonly magic: number; readonly freeBytes: number; readonly totalBytes: number }>;
  directAlignment(fd: number): Promise<{ readonly memory: number; readonly offset: number }>;
  takeWriteLease(fd: number): Promise<boolean>;
  holdsWriteLease(fd: number): Promise<boolean>;
  /** Open-file-description write lock over a byte range. */
  takeWriteLock(fd: number, start: number, length: number): Promise<boolean>;
  lockExclusive(fd: number): Promise<boolean>;
  renameNoReplace(oldPath: string, newPath: string): Promise<void>;
  openBeneath(directoryFd: number, relativePath: string, flags: number, mode: number): Promise<number>;
  notify(socketPath: string, message: string): Promise<void>;
  poolStats(): PoolStats;
  /** Occupies one worker; for tests. */
  block(durationMs: number): Promise<void>;
}

/** @throws AddonUnavailableError */
export const loadFastio = (): Fastio => loadAddon("fastio") as Fastio;
