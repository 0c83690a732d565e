/**
 * Makes a root disk from an image: a qcow2 overlay on it, or a raw copy of its own.
 *
 * The image was checked by `walkImageChain`; qemu-img gets every format explicitly and probes nothing. The new disk
 * is at least as large as the image and never smaller than asked; it is made under a name that was free, is durable
 * when the call returns, and a failure removes it.
 */

import { constants } from "node:fs";
import { open, unlink } from "node:fs/promises";
import { Fault } from "../../proto/fault.js";
import type { Files } from "../os/files.js";
import type { RunTool } from "../os/tool.js";
import { copyContent } from "../transfer/local-copy.js";
import { explicitImage } from "./explicit-image.js";
import { isSameFile } from "./file-identity.js";
import type { ImageLayer } from "./image-rules.js";
import { createSparseFile, flushFile } from "./sparse-file.js";

export interface NewRoot {
  /** The image, as `walkImageChain` returned it: its active layer first. */
  readonly image: readonly ImageLayer[];
  /** `overlay` refers to the image for life; `copy` is a raw disk of its own. */
  readonly mode: "overlay" | "copy";
  readonly path: string;
  readonly sizeBytes: number;
  readonly signal?: AbortSignal;
}

const CREATE_TIMEOUT_MS = 60_000;
const CONVERT_TIMEOUT_MS = 6 * 60 * 60 * 1000;
const SECTOR_BYTES = 512;

/** The format of the disk that was made. */
export async function createRoot(
  edges: { readonly runTool: RunTool; readonly files: Files },
  root: NewRoot,
): Promise<{ readonly format: "qcow2" | "raw" }> {
  const [active] = root.image;
  if (!active) throw new TypeError("an image has at least one layer");
  refuseTooSmall(active, root);
  await createSparseFile(root.path, 0);
  try {
    if (root.mode === "overlay") await makeOverlay(edges.runTool, active, root);
    else if (active.format === "raw") await copyRaw(edges.files, active, root);
    else await convertToRaw(edges.runTool, root);
    await flushFile(root.path);
  } catch (error) {
    await unlink(root.path);
    throw error;
  }
  return { format: root.mode === "overlay" ? "qcow2" : "raw" };
}

function refuseTooSmall({ path, virtualSizeBytes }: ImageLayer, { sizeBytes }: NewRoot): void {
  if (sizeBytes >= virtualSizeBytes && sizeBytes % SECTOR_BYTES === 0) return;
  throw new Fault("refused", `image ${path} does not fit a root disk of ${sizeBytes} bytes`, {
    have: `${virtualSizeBytes} bytes`,
    need: `at most ${sizeBytes} bytes, a multiple of ${SECTOR_BYTES}`,
    fix: "choose a flavor with a larger root disk",
  });
}

/** `-u`: qemu-img need not open the image, since we know its size and that it is there. */
async function makeOverlay(runTool: RunTool, image: ImageLayer, root: NewRoot): Promise<void> {
  const backing = ["-u", "-F", image.format, "-b", image.path];
  const argv = [
    "qemu-img",
    "create",
    "-q",
    "-f",
    "qcow2",
    ...backing,
    root.path,
    `${root.sizeBytes}`,
  ] as const;
  await runTool(argv, limitsOf(root, CREATE_TIMEOUT_MS));
}

async function convertToRaw(runTool: RunTool, root: NewRoot): Promise<void> {
  const argv = ["qemu-img", "convert", "-q", "-O", "raw", explicitImage(root.image), root.path] as const;
  await runTool(argv, limitsOf(root, CONVERT_TIMEOUT_MS));
  await grow(root.path, root.sizeBytes);
}

const limitsOf = ({ signal }: NewRoot, timeoutMs: number) => (signal ? { timeoutMs, signal } : { timeoutMs });

/** By whatever way is the shortest between these two files; holes stay holes. */
async function copyRaw(files: Files, { path, facts }: ImageLayer, root: NewRoot): Promise<void> {
  await using image = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const found = await files.facts(image.fd);
  if (!isSameFile(found, facts)) {
    throw new Fault("conflict", `image ${path} was replaced after it was checked`, { fix: "try again" });
  }
  await using disk = await open(root.path, "r+");
  const watch = root.signal === undefined ? {} : { signal: root.signal };
  await copyContent(files, watch, { source: image.fd, part: disk.fd, sizeBytes: found.sizeBytes });
  await disk.truncate(root.sizeBytes);
}

async function grow(path: string, sizeBytes: number): Promise<void> {
  const disk = await open(path, "r+");
  try {
    await disk.truncate(sizeBytes);
  } finally {
    await disk.close();
  }
}
