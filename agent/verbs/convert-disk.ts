/**
 * A copied disk becomes one file of another format on its target, by qemu-img and with every format of its chain given. The
 * copy is only read; what the guest sees is shown to be the same before the new file gets the name (SAFETY R11).
 *
 *   path                     what was received, until the converted file is whole, flushed and recorded; then that one
 *   path.part-M.converted    qemu-img's: thrown away and made again when it was interrupted
 *   path.part-M.received     what was received, while names change hands
 */

import { open, rm } from "node:fs/promises";
import { Fault } from "../../proto/fault.js";
import type { PlannedFile } from "../../proto/gen/ferry/v1/agent.js";
import type { CopiedFile, DiskChange } from "../../proto/gen/ferry/v1/model.js";
import { explicitImage } from "../disk/explicit-image.js";
import { factsAt, isSameFile } from "../disk/file-identity.js";
import { type GuestContent, guestContent } from "../disk/guest-content.js";
import { type ImageFormat, type ImageLayer, imageFormat, walkImageChain } from "../disk/image-rules.js";
import { qemuImgVersion } from "../disk/qemu-img-version.js";
import { removeDurably } from "../fence/durable-file.js";
import type { FileIdentity } from "../os/files.js";
import { digestFile, type FileDigest } from "../transfer/digest-file.js";
import { copiedLine, type GrowCall, type GrowEdges } from "./grow-disk.js";
import type { World } from "./verb.js";

const CONVERT_TIMEOUT_MS = 24 * 60 * 60_000;
/** QEMU's disks end on a whole sector, files need not. */
const SECTOR_BYTES = 512;

export type ConvertEdges = GrowEdges & {
  /** What this migration made under a name, and to say so. */
  readonly made: {
    identityOf(path: string): Promise<FileIdentity | undefined>;
    record(path: string, identity: FileIdentity): void;
  };
};

interface Names {
  readonly path: string;
  readonly converted: string;
  readonly received: string;
}

const namesOf = ({ path }: PlannedFile, { migrationId }: GrowCall): Names => ({
  path,
  converted: `${path}.part-${migrationId}.converted`,
  received: `${path}.part-${migrationId}.received`,
});

/** The disk's line of the second receipt. */
export async function convertDisk(
  planned: PlannedFile,
  call: GrowCall,
  world: ConvertEdges,
): Promise<CopiedFile> {
  const { serverId, migrationId } = call;
  const kind = `converted ${planned.id}`;
  let line = world.documents.get<CopiedFile>(serverId, migrationId, kind);
  if (line === undefined) {
    line = await convertCopied(planned, call, world);
    world.documents.put(serverId, migrationId, kind, line);
  }
  await giveName(namesOf(planned, call), planned, world);
  return line;
}

async function convertCopied(planned: PlannedFile, call: GrowCall, world: ConvertEdges): Promise<CopiedFile> {
  const copied = copiedLine(planned, call, world);
  const { path, converted } = namesOf(planned, call);
  const chain = await walkImageChain(world.files, world.places, {
    path,
    format: imageFormat(planned.format),
  });
  const sizeBytes = chain[0]?.virtualSizeBytes ?? 0;
  const before = await guestContent(world, chain, sizeBytes, call.signal);
  const format = imageFormat(planned.convertTo ?? "");
  await runConversion({ chain, format, converted, mode: planned.permissions }, call, world);
  const [layer, ...below] = await walkImageChain(world.files, world.places, { path: converted, format });
  if (layer === undefined || below.length > 0) throw new TypeError("a conversion has no chain");
  const after = await guestContent(world, [layer], sizeBytes, call.signal);
  requireSame(planned, { sizeBytes, ...before }, { sizeBytes: layer.virtualSizeBytes, ...after });
  const options = { signal: call.signal, algorithm: copied.algorithm };
  const file = await digestFile(world.files, converted, options);
  const change: DiskChange = {
    tool: "qemu-img convert",
    version: await qemuImgVersion(world.runTool, call.signal),
    sizeBeforeBytes: sizeBytes,
    sizeAfterBytes: layer.virtualSizeBytes,
    digestBefore: copied.digest,
    holds: `${planned.format} to ${format}, content of ${sizeBytes} bytes unchanged: ${after.algorithm} ${after.digest}`,
  };
  return lineOf(copied, file, change);
}

const lineOf = (copied: CopiedFile, file: FileDigest, change: DiskChange): CopiedFile => ({
  ...copied,
  sizeBytes: file.sizeBytes,
  dataBytes: file.dataBytes,
  digest: file.rootDigest,
  readBack: file.readBackMode,
  changes: [change],
});

interface Conversion {
  readonly chain: readonly ImageLayer[];
  readonly format: ImageFormat;
  readonly converted: string;
  readonly mode: number;
}

/** Sparse where the disk is, durable when it returns: also its mode, which the flush before it is read back would leave. */
async function runConversion(
  { chain, format, converted, mode }: Conversion,
  { signal }: GrowCall,
  { runTool }: ConvertEdges,
): Promise<void> {
  await rm(converted, { force: true });
  const argv = ["qemu-img", "convert", "-q", "-O", format, explicitImage(chain), converted] as const;
  await runTool(argv, { timeoutMs: CONVERT_TIMEOUT_MS, signal });
  await using file = await open(converted, "r+");
  await file.chmod(mode);
  await file.sync();
}

type Content = Pick<GuestContent, "digest" | "isZeroBehind"> & { readonly sizeBytes: number };

function requireSame({ id, path }: PlannedFile, need: Content, have: Content): void {
  const isAsLarge = have.sizeBytes >= need.sizeBytes && have.sizeBytes < need.sizeBytes + SECTOR_BYTES;
  if (isAsLarge && have.digest === need.digest && have.isZeroBehind) return;
  throw new Fault("corrupt", `${id}: ${path} does not hold after its conversion what was copied`, {
    have: `${have.sizeBytes} bytes, ${have.digest}`,
    need: `${need.sizeBytes} bytes, ${need.digest}`,
    fix: "migrate again without --disk-format; if it happens again, check the target's disk",
  });
}

/** Goes on where an interrupted attempt stopped: each name is looked at before it is given away. */
async function giveName(
  { path, converted, received }: Names,
  { id }: PlannedFile,
  { files, made }: ConvertEdges,
): Promise<void> {
  const whole = await factsAt(files, converted);
  if (whole !== undefined) {
    const there = await factsAt(files, path);
    const ours = await made.identityOf(path);
    if (there !== undefined && (ours === undefined || !isSameFile(there, ours)))
      throw new Fault("conflict", `${id}: ${path} is not the file that was received`);
    if (there !== undefined) await files.renameNoReplace(path, received);
    made.record(path, whole);
    await files.renameNoReplace(converted, path);
  }
  await removeDurably(received);
}

/** What of the world it needs. */
export const convertEdges = (world: World, made: ConvertEdges["made"]): ConvertEdges => ({
  exists: world.exists,
  files: world.files,
  places: world.places,
  runTool: world.runTool,
  documents: world.documents,
  made,
});
