/**
 * A copied disk grows on its target (SAFETY R11). Whatever is done to it, the bytes that were copied are shown to be the
 * same afterwards, and the whole file is read back once more; each change has its line in the second receipt.
 *
 *   raw     ftruncate, which may be repeated; the digest of the old length must be the one that was copied
 *   qcow2   qemu-img resize, which sets a size and may be repeated; the digest of what the guest sees, noted before the
 *           first attempt, must be the same
 *   ext4    directly on a raw disk, if it fills it and is clean: resize2fs, while a copy is kept of the disk, from which it
 *           is made again when that was interrupted
 */

import { open } from "node:fs/promises";
import { Fault } from "../../proto/fault.js";
import type { CopyReceipt, PlannedFile } from "../../proto/gen/ferry/v1/agent.js";
import type { CopiedFile, DiskChange } from "../../proto/gen/ferry/v1/model.js";
import { explicitImage } from "../disk/explicit-image.js";
import {
  type ExtFileSystem,
  extFileSystemAt,
  extToolVersion,
  growExt,
  isExtSound,
} from "../disk/ext-file-system.js";
import { guestContent } from "../disk/guest-content.js";
import { walkImageChain } from "../disk/image-rules.js";
import { qemuImgVersion } from "../disk/qemu-img-version.js";
import { removeDurably } from "../fence/durable-file.js";
import { digestFile, type FileDigest } from "../transfer/digest-file.js";
import { copyLocally, restoreLocally } from "../transfer/local-copy.js";
import type { Call, World } from "./verb.js";

/** What a qcow2 image held before anything was done to it. */
interface ContentBefore {
  readonly sizeBytes: number;
  readonly digest: string;
}

const RESIZE_TIMEOUT_MS = 10 * 60_000;

/** What of the world it needs. */
export type GrowEdges = Pick<World, "exists" | "files" | "places" | "runTool"> & {
  readonly documents: Pick<World["documents"], "get" | "put">;
};
export type GrowCall = Pick<Call, "serverId" | "migrationId" | "signal" | "note">;

/** The disk's line of the second receipt. */
export async function growDisk(planned: PlannedFile, call: GrowCall, world: GrowEdges): Promise<CopiedFile> {
  const { serverId, migrationId } = call;
  const kind = `grown ${planned.id}`;
  const savedPath = savedPathOf(planned, call);
  let line = world.documents.get<CopiedFile>(serverId, migrationId, kind);
  if (line === undefined) {
    line = await growCopied(planned, call, world);
    world.documents.put(serverId, migrationId, kind, line);
  }
  // Not before the line is journalled: until then the disk may have to be made again from it.
  await removeDurably(savedPath);
  return line;
}

/** Removed with everything else that carries this migration's name. */
const savedPathOf = ({ path }: PlannedFile, { migrationId }: GrowCall): string =>
  `${path}.part-${migrationId}.saved`;

async function growCopied(planned: PlannedFile, call: GrowCall, world: GrowEdges): Promise<CopiedFile> {
  const copied = copiedLine(planned, call, world);
  const grow = planned.format === "qcow2" ? growQcow2 : growRaw;
  const { changes, file } = await grow(planned, copied, call, world);
  const { rootDigest, sizeBytes, dataBytes, readBackMode } = file;
  return { ...copied, sizeBytes, dataBytes, digest: rootDigest, readBack: readBackMode, changes };
}

interface Grown {
  readonly changes: DiskChange[];
  /** Read back after the last of them. */
  readonly file: FileDigest;
}

/** What the first receipt says of it. */
export function copiedLine(
  { id }: PlannedFile,
  { serverId, migrationId }: GrowCall,
  world: GrowEdges,
): CopiedFile {
  const receipt = world.documents.get<CopyReceipt>(serverId, migrationId, "copy");
  const line = receipt?.files.find(file => file.id === id);
  if (line !== undefined) return line;
  throw new Fault("refused", `${id} cannot be changed: there is no receipt for its copy`);
}

async function growRaw(
  planned: PlannedFile,
  copied: CopiedFile,
  call: GrowCall,
  world: GrowEdges,
): Promise<Grown> {
  const { path, newSizeBytes } = planned;
  const savedPath = savedPathOf(planned, call);
  const tool = { runTool: world.runTool, signal: call.signal };
  if (await world.exists(savedPath))
    await restoreLocally(world.files, { copyPath: savedPath, path, signal: call.signal });
  await setSize(path, newSizeBytes);
  const { algorithm, sizeBytes: prefixBytes } = copied;
  const file = await digestFile(world.files, path, { signal: call.signal, algorithm, prefixBytes });
  requireSame(planned, copied.digest, file.prefixDigest);
  const grown: DiskChange = {
    tool: "ftruncate",
    version: "",
    sizeBeforeBytes: copied.sizeBytes,
    sizeAfterBytes: newSizeBytes,
    digestBefore: copied.digest,
    holds: unchanged(copied.sizeBytes, algorithm, file.prefixDigest),
  };
  if (!(await canGrowExt(planned, copied.sizeBytes, call, world))) return { changes: [grown], file };
  if (!(await save(planned, savedPath, call, world))) return { changes: [grown], file };
  await growExt(tool, path);
  const fileSystem: DiskChange = {
    tool: "resize2fs",
    version: await extToolVersion(tool),
    sizeBeforeBytes: copied.sizeBytes,
    sizeAfterBytes: newSizeBytes,
    digestBefore: file.rootDigest,
    holds: "e2fsck -fn finds nothing to correct",
  };
  const after = await digestFile(world.files, path, { signal: call.signal, algorithm });
  return { changes: [grown, fileSystem], file: after };
}

/** A copy of the disk for as long as resize2fs is at work: a reflink where the file system can, else its data once more. */
async function save(
  { id, path, role, newSizeBytes }: PlannedFile,
  savedPath: string,
  call: GrowCall,
  { exists, files }: GrowEdges,
): Promise<boolean> {
  if (await exists(savedPath)) return true;
  const { migrationId, signal } = call;
  const target = { id, targetPath: savedPath, sizeBytes: newSizeBytes, mode: 0o600 };
  try {
    await copyLocally(files, { sourcePath: path, target, migrationId, signal });
    return true;
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "out-of-space") throw error;
    call.note(
      `the file system on the ${role} disk was left as it is (no room to keep a copy): grow it inside the guest`,
    );
    return false;
  }
}

/** Repeated, it finds the size set; what lies behind the old end is a hole and reads as zeros. Flushed when it is read back. */
async function setSize(path: string, sizeBytes: number): Promise<void> {
  await using file = await open(path, "r+");
  await file.truncate(sizeBytes);
}

/** One that is not clean, or does not fill its disk, is the guest's own business; it is told so. */
async function canGrowExt(
  { path, role }: PlannedFile,
  oldSizeBytes: number,
  call: GrowCall,
  world: GrowEdges,
): Promise<boolean> {
  const found = await extFileSystemAt(path);
  if (found === undefined) return false;
  const why = await whyNotGrow(found, oldSizeBytes, () =>
    isExtSound({ runTool: world.runTool, signal: call.signal }, path),
  );
  if (why === undefined) return true;
  call.note(`the file system on the ${role} disk was left as it is (${why}): grow it inside the guest`);
  return false;
}

async function whyNotGrow(
  { sizeBytes, isClean }: ExtFileSystem,
  diskBytes: number,
  isSound: () => Promise<boolean>,
): Promise<string | undefined> {
  if (sizeBytes > diskBytes || diskBytes - sizeBytes >= EXT_SLACK_BYTES) return "it does not fill the disk";
  if (!isClean) return "it was not unmounted cleanly";
  return (await isSound()) ? undefined : "e2fsck does not find it sound";
}

/** File systems end on a whole block. */
const EXT_SLACK_BYTES = 64 * 1024;

async function growQcow2(
  planned: PlannedFile,
  copied: CopiedFile,
  call: GrowCall,
  world: GrowEdges,
): Promise<Grown> {
  const before = await contentBefore(planned, call, world);
  const chain = await chainOf(planned, world);
  const argv = ["qemu-img", "resize", "-q", explicitImage(chain), `${planned.newSizeBytes}`] as const;
  await world.runTool(argv, { timeoutMs: RESIZE_TIMEOUT_MS, signal: call.signal });
  const after = await chainOf(planned, world);
  if (after[0]?.virtualSizeBytes !== planned.newSizeBytes)
    throw new Fault("failed", `${planned.id}: qemu-img resize left ${after[0]?.virtualSizeBytes} bytes`);
  const { algorithm, digest, isZeroBehind } = await guestContent(world, after, before.sizeBytes, call.signal);
  requireSame(planned, before.digest, digest);
  if (!isZeroBehind) throw new Fault("corrupt", `${planned.id}: what was added to the disk is not empty`);
  const change: DiskChange = {
    tool: "qemu-img resize",
    version: await qemuImgVersion(world.runTool, call.signal),
    sizeBeforeBytes: before.sizeBytes,
    sizeAfterBytes: planned.newSizeBytes,
    digestBefore: copied.digest,
    holds: unchanged(before.sizeBytes, algorithm, digest),
  };
  const options = { signal: call.signal, algorithm: copied.algorithm };
  return { changes: [change], file: await digestFile(world.files, planned.path, options) };
}

const chainOf = ({ path }: PlannedFile, { files, places }: GrowEdges) =>
  walkImageChain(files, places, { path, format: "qcow2" });

/** Journalled before the image is touched: an interrupted attempt must not become the measure of the next. */
async function contentBefore(planned: PlannedFile, call: GrowCall, world: GrowEdges): Promise<ContentBefore> {
  const { serverId, migrationId } = call;
  const kind = `content ${planned.id}`;
  const known = world.documents.get<ContentBefore>(serverId, migrationId, kind);
  if (known !== undefined) return known;
  const chain = await chainOf(planned, world);
  const sizeBytes = chain[0]?.virtualSizeBytes ?? 0;
  const { digest } = await guestContent(world, chain, sizeBytes, call.signal);
  const content: ContentBefore = { sizeBytes, digest };
  world.documents.put(serverId, migrationId, kind, content);
  return content;
}

const unchanged = (sizeBytes: number, algorithm: string, digest: string): string =>
  `content up to ${sizeBytes} bytes unchanged: ${algorithm} ${digest}`;

function requireSame({ id, path }: PlannedFile, need: string, have: string): void {
  if (need === have) return;
  throw new Fault("corrupt", `${id}: ${path} does not hold any more what was copied`, {
    have,
    need,
    fix: "migrate again; if it happens again, check the target's disk",
  });
}
