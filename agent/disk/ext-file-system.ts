/**
 * An ext2/3/4 file system directly on a raw disk, without a partition table: whether there is one that fills the disk,
 * and growing it while the disk belongs to nobody.
 */

import { open } from "node:fs/promises";
import { Fault } from "../../proto/fault.js";
import type { RunTool } from "../os/tool.js";
import { flushFile } from "./sparse-file.js";

export interface ExtFileSystem {
  readonly sizeBytes: number;
  /** Unmounted as it should be, with nothing left in its journal. */
  readonly isClean: boolean;
}

/** Boot block and superblock. */
const EXT_PROBE_BYTES = 2048;

const SUPERBLOCK_AT = 1024;
const MAGIC = 0xef53;
const CLEAN_STATE = 1;
const NEEDS_RECOVERY = 0x4;
const IS_64BIT = 0x80;
const AT = { blocksLow: 0x04, blockSize: 0x18, magic: 0x38, state: 0x3a, incompat: 0x60, blocksHigh: 0x150 };
const BOOT_SIGNATURE_AT = 510;
const PARTITION_TYPES_AT = [450, 466, 482, 498];

/** The file system that a disk begins with; undefined when there is none, or a partition table beside it. */
export function readExtFileSystem(head: Buffer): ExtFileSystem | undefined {
  if (head.length < EXT_PROBE_BYTES || hasPartitionTable(head)) return undefined;
  const block = head.subarray(SUPERBLOCK_AT);
  if (block.readUInt16LE(AT.magic) !== MAGIC) return undefined;
  const logBlockSize = block.readUInt32LE(AT.blockSize);
  if (logBlockSize > 6) return undefined;
  const incompat = block.readUInt32LE(AT.incompat);
  const high = (incompat & IS_64BIT) === 0 ? 0 : block.readUInt32LE(AT.blocksHigh);
  const blocks = high * 2 ** 32 + block.readUInt32LE(AT.blocksLow);
  const isClean = block.readUInt16LE(AT.state) === CLEAN_STATE && (incompat & NEEDS_RECOVERY) === 0;
  return { sizeBytes: blocks * 1024 * 2 ** logBlockSize, isClean };
}

const hasPartitionTable = (head: Buffer): boolean =>
  head.toString("latin1", 512, 520) === "EFI PART" ||
  (head.readUInt16LE(BOOT_SIGNATURE_AT) === 0xaa55 && PARTITION_TYPES_AT.some(at => head[at] !== 0));

/** What the disk at `path` begins with. */
export async function extFileSystemAt(path: string): Promise<ExtFileSystem | undefined> {
  await using file = await open(path, "r");
  const head = Buffer.alloc(EXT_PROBE_BYTES);
  const { bytesRead } = await file.read(head, 0, head.length, 0);
  return readExtFileSystem(head.subarray(0, bytesRead));
}

interface Tool {
  readonly runTool: RunTool;
  readonly signal: AbortSignal;
}

const CHECK_TIMEOUT_MS = 6 * 60 * 60_000;
const GROW_TIMEOUT_MS = 6 * 60 * 60_000;

/** Does e2fsck, which changes nothing here, find nothing to correct? Not where it is not installed. */
export async function isExtSound({ runTool, signal }: Tool, path: string): Promise<boolean> {
  try {
    await runTool(["e2fsck", "-fn", path], { timeoutMs: CHECK_TIMEOUT_MS, signal });
    return true;
  } catch (error) {
    if (error instanceof Fault && (error.code === "failed" || error.code === "unsupported")) return false;
    throw error;
  }
}

/**
 * Grows a sound file system to the size of its disk; durable when it returns. What an interrupted one leaves is nothing,
 * so the caller keeps a copy. (resize2fs's own undo file is no way: with small blocks it spoils the file system.)
 */
export async function growExt({ runTool, signal }: Tool, path: string): Promise<void> {
  // Forced: that it is sound was seen a moment ago, by a check that wrote nothing down.
  await runTool(["resize2fs", "-f", path], { timeoutMs: GROW_TIMEOUT_MS, signal });
  await flushFile(path);
  if (!(await isExtSound({ runTool, signal }, path)))
    throw new Fault("corrupt", `the file system on ${path} is not sound after resize2fs`);
}

/** "resize2fs 1.47.0" */
export async function extToolVersion({ runTool, signal }: Tool): Promise<string> {
  const said = await runTool(["e2fsck", "-V"], { timeoutMs: 10_000, signal, withErrors: true });
  return /^e2fsck (\S+)/m.exec(said)?.[1] ?? "unknown";
}
