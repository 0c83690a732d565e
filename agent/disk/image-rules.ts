/**
 * Which images Ferry lets QEMU open (SAFETY R19): the whole chain is walked with the formats that were declared.
 *
 * Refused: a backing file outside the image directories or behind a protocol, `json:`, an external data file, a
 * backing file without a format, encryption, a corrupt image, features nobody knows, more than 16 layers, and an
 * image that is not what it is declared to be. A raw image is raw whatever it contains: it is never interpreted.
 */

import { dirname, resolve } from "node:path";
import { Fault } from "../../proto/fault.js";
import type { FileFacts, Files } from "../os/files.js";
import { type ImageFile, type ImagePlaces, openImageFile } from "./image-file.js";
import { MAX_QCOW2_HEADER_BYTES, type Qcow2Header, readQcow2Header } from "./qcow2-header.js";

export type ImageFormat = "raw" | "qcow2";

export interface ImageLayer {
  readonly path: string;
  readonly format: ImageFormat;
  readonly virtualSizeBytes: number;
  readonly facts: FileFacts;
  /** Undefined for raw. */
  readonly header: Qcow2Header | undefined;
}

const MAX_CHAIN_LAYERS = 16;

/** A format as libvirt or an image names it. Fault("unsupported") for one that Ferry does not handle. */
export function imageFormat(name: string): ImageFormat {
  if (name === "raw" || name === "qcow2") return name;
  throw new Fault("unsupported", `images of format ${name} are not supported`, {
    have: name,
    need: "raw or qcow2",
    fix: "convert it with qemu-img convert",
  });
}

/** The layers of an image, active one first. Every refusal names the layer. */
export async function walkImageChain(
  files: Files,
  places: ImagePlaces,
  active: { readonly path: string; readonly format: ImageFormat },
): Promise<ImageLayer[]> {
  const layers: ImageLayer[] = [];
  let next: { readonly path: string; readonly format: ImageFormat } | undefined = active;
  while (next) {
    if (layers.length >= MAX_CHAIN_LAYERS) throw tooLong(active.path);
    const layer: ImageLayer = await readImageLayer(files, places, next.path, next.format);
    layers.push(layer);
    next = backingOf(layer);
  }
  return layers;
}

async function readImageLayer(
  files: Files,
  places: ImagePlaces,
  path: string,
  format: ImageFormat,
): Promise<ImageLayer> {
  await using image = await openImageFile(files, places, path);
  const { facts, sizeBytes } = image;
  if (format === "raw") {
    return { path, format, virtualSizeBytes: sizeBytes, facts, header: undefined };
  }
  const header = await readHeader(image);
  refuseUnsafe(path, header);
  return { path, format, virtualSizeBytes: header.virtualSizeBytes, facts, header };
}

async function readHeader(image: ImageFile): Promise<Qcow2Header> {
  const bytes = await image.read(0, Math.min(MAX_QCOW2_HEADER_BYTES, image.sizeBytes));
  try {
    return readQcow2Header(bytes);
  } catch (error) {
    throw error instanceof Fault ? error.during(image.path) : error;
  }
}

function refuseUnsafe(path: string, header: Qcow2Header): void {
  const { unknownFeatures } = header;
  if (header.hasExternalDataFile) throw unsafe(path, "it keeps its data in another file");
  if (header.isEncrypted) throw unsafe(path, "it is encrypted");
  if (header.isCorrupt) throw unsafe(path, "it is marked corrupt", "repair it with qemu-img check -r all");
  if (unknownFeatures.length > 0) throw unsafe(path, `it has unknown features (bits ${unknownFeatures})`);
}

/** The next layer below; a backing file is resolved as QEMU does it, against the directory of the image. */
function backingOf({ path, header }: ImageLayer) {
  if (header?.backingFile === undefined) return undefined;
  const name = header.backingFile;
  if (/^[^/]*:/.test(name)) throw unsafe(path, `its backing file is not a plain path (${name})`);
  if (header.backingFormat === undefined) {
    const fix = `qemu-img rebase -u -F FORMAT -b ${name} ${path}`;
    throw unsafe(path, `it does not say the format of its backing file ${name}`, fix);
  }
  return { path: resolve(dirname(path), name), format: imageFormat(header.backingFormat) };
}

function unsafe(path: string, reason: string, fix = "flatten it with qemu-img convert"): Fault {
  return new Fault("refused", `image ${path}: ${reason}`, { have: reason, need: "a plain image chain", fix });
}

const tooLong = (path: string): Fault =>
  unsafe(path, `its chain has more than ${MAX_CHAIN_LAYERS} layers`, "commit or flatten some of them");
