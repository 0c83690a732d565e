/**
 * The transfer addon, typed: digest trees, and disk data from host to host.
 *
 * Offsets and sizes are bytes, leaves are counted in 256 KiB, files by their place in the hello. Promises reject with
 * Node-style errors; a wrong argument type throws at once. No policy, no defaults. Codes of its own:
 *
 *   ERR_TRANSFER_LOST, _TIMEOUT   the connection did not come to be, or was lost
 *   ERR_TRANSFER_IDENTITY         a certificate is not accepted
 *   ERR_TRANSFER_PROTOCOL         the peer broke the rules of the wire
 *   ERR_TRANSFER_PEER             the peer refused; `payload` says why
 *   ERR_TRANSFER_STOPPED          our side ended the connection
 *   ERR_TRANSFER_CORRUPT          `file`, `offset`, `leaves`: what was read back is not what was sent, twice
 *   errno with `file`, `offset`, `length`   a system call on a disk file failed
 */

import { loadAddon } from "./load-addon.js";
import type { PoolStats } from "./pool-stats.js";

export interface DigestTree {
  /** "blake3" or "sha256". */
  readonly algorithm: string;
  readonly sizeBytes: number;
  readonly leafCount: number;
  readonly isComplete: boolean;
  /** Bytes in known leaves that are not all zero. */
  readonly dataBytes: number;
  stateOf(leaf: number): "unknown" | "zero" | "data";
  /** How many leaves from `first` on have its state, `limit` at most. */
  runFrom(first: number, limit: number): number;
  /** A copy, 32 bytes per leaf; zeros for leaves that are zero or unknown. */
  digestsOf(first: number, count: number): Buffer;
  /** 32 bytes per leaf; 32 zeros say that a leaf is zero. */
  set(first: number, digests: Uint8Array): void;
  setZero(first: number, count: number): void;
  /** Over algorithm, size and leaves in order; throws unless every leaf is known. */
  root(): Buffer;
  /** Digests leaves of an open file, holes unread, past the page cache when `direct`. Answers the bytes read; rejects
   *  with ENODATA when the file is shorter than the tree. */
  read(fd: number, first: number, count: number, direct: boolean): Promise<number>;
  /** The same through the page cache, and writes what is not zero to another file, which has holes there. */
  copy(sourceFd: number, targetFd: number, first: number, count: number): Promise<number>;
  /** Digests bytes in memory as the leaves from `first` on; works on a copy. */
  hash(first: number, bytes: Uint8Array): Promise<void>;
}

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly file: number;
  readonly offset: number;
  readonly digest: Buffer;
  readonly payload: Buffer;
}

/** `auto`: only while the link is the bottleneck and compressing helps. */
export type CompressionPolicy = "auto" | "off" | "zstd";

/** Sees each frame as it travels, and may change its payload in place; the connection waits for it. For tests. */
export type RawTap = (frame: RawFrame) => void;

export interface Connection {
  /** TCP and TLS. */
  dial(host: string, port: number, timeoutMs: number): Promise<void>;
  /** DER. */
  peerCertificate(): Promise<Buffer>;
  /** 32 bytes that both ends of this very connection know and nobody else. */
  channelBinding(): Promise<Buffer>;
  /** Before data comes; compressed frames are refused otherwise. Throws where the build cannot expand them. */
  allowCompression(): void;
  setTaps(outgoing: RawTap | undefined, incoming: RawTap | undefined): void;
  send(
    type: number,
    flags: number,
    file: number,
    offset: number,
    digest: Uint8Array,
    payload: Uint8Array,
  ): Promise<void>;
  /** Undefined when the peer closed in good order. One call at a time, of this or the next two. */
  receive(): Promise<RawFrame | undefined>;
  /** Writes, reads back and acknowledges data until another frame comes. When it settles nothing is written any more. */
  serveParts(parts: PartTable): Promise<RawFrame | undefined>;
  /** Sends segments until the queue is empty and every one has its verdict. */
  sendSegments(
    queue: SegmentQueue,
    limits: readonly TokenBucket[],
    compression: CompressionPolicy,
  ): Promise<void>;
  /** Unless something is being sent anyway. */
  ping(): Promise<void>;
  /** Tells the peer why and ends; settles after at most `lingerMs` and a little. */
  refuse(error: Uint8Array, lingerMs: number): Promise<void>;
  /** Ends in good order. */
  finish(): Promise<void>;
  /** At once: every call that waits rejects. */
  sever(): void;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** How long the receiver has waited for bytes; 0 while it does not wait. */
  readonly silentMs: number;
  readonly sentAgoMs: number;
}

export interface Listener {
  /** Answers the port. */
  listen(
    host: string,
    port: number,
    connections: number,
    handshakeMs: number,
    authority: string,
    certificate: string,
    key: string,
  ): Promise<number>;
  setTls(authority: string, certificate: string, key: string): void;
  close(): void;
}

export interface SegmentQueue {
  /** `older`: what the target says to have of an older source. The descriptor stays the caller's. */
  add(file: number, fd: number, digests: DigestTree, older: DigestTree | undefined): void;
  /** [sent, skipped, sent, skipped, …] bytes, in the order in which files were added. */
  counts(): Float64Array;
  /** Segments that were found right. */
  readonly verified: number;
}

export interface Part {
  /** [received, zero] bytes, and how many leaves were asked for again. */
  counts(): Float64Array;
}

export interface PartTable {
  set(file: number, part: Part): void;
  delete(file: number): void;
}

export interface TokenBucket {
  /** 0 is no limit; counts from now on. */
  setRate(bytesPerSecond: number): void;
}

export interface BeforeReadBack {
  readonly first: number;
  readonly count: number;
  readonly done: () => void;
}

export interface Transfer {
  /** Names of the digest algorithms that this build has, fastest first. */
  readonly algorithms: readonly string[];
  /** Names of the compressions that this build has: "zstd", or none. */
  readonly compressions: readonly string[];
  readonly DigestTree: new (algorithm: string, sizeBytes: number) => DigestTree;
  readonly Connection: new (authority: string, certificate: string, key: string) => Connection;
  readonly Listener: new (
    onConnection: (connection: Connection) => void,
    onRefused: (reason: Error) => void,
  ) => Listener;
  readonly SegmentQueue: new (algorithm: string) => SegmentQueue;
  readonly TokenBucket: new () => TokenBucket;
  /** Its files stay the caller's, and open for as long as a connection may serve it. */
  readonly Part: new (
    fd: number,
    journalFd: number,
    journalEndBytes: number,
    verified: DigestTree,
    older: DigestTree | undefined,
    readBack: "none" | "cache" | "direct",
    beforeReadBack: ((range: BeforeReadBack) => void) | undefined,
  ) => Part;
  readonly PartTable: new () => PartTable;
  /** Length of the payload that 60 bytes announce; throws what is wrong with them. For tests of the parser. */
  checkHeader(header: Uint8Array): number;
  poolStats(): PoolStats;
  /** Occupies one worker; for tests. */
  block(durationMs: number): Promise<void>;
}

/** @throws AddonUnavailableError */
export const loadTransfer = (): Transfer => loadAddon("transfer") as Transfer;
