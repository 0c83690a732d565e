/**
 * Who still needs a backing file (SAFETY R10): before one is renamed or deleted, nobody may.
 *
 * Looked at are all defined domains and all images in the configured directories. What cannot be read is `unknown`,
 * and a caller who gets any of that keeps the file and reports it.
 */

import { readdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { hostPaths } from "../domain/host-paths.js";
import { parseXml } from "../domain/xml-document.js";
import type { Files } from "../os/files.js";
import { type ImageFile, type ImagePlaces, openImageFile } from "./image-file.js";
import { looksLikeQcow2, MAX_QCOW2_HEADER_BYTES, readQcow2Header } from "./qcow2-header.js";

export interface BackingReferences {
  /** Uuids or names of domains, and paths of images, that refer to the file. */
  readonly found: readonly string[];
  /** What could not be looked at, and why. */
  readonly unknown: readonly { readonly what: string; readonly reason: string }[];
}

export interface DefinedDomain {
  readonly uuid: string;
  readonly xml: string;
}

export async function findBackingReferences(
  files: Files,
  places: ImagePlaces,
  domains: readonly DefinedDomain[],
  path: string,
): Promise<BackingReferences> {
  const found: string[] = [];
  const unknown: { what: string; reason: string }[] = [];
  const look = async (what: string, refers: () => boolean | Promise<boolean>) => {
    try {
      if (await refers()) found.push(what);
    } catch (error) {
      unknown.push({ what, reason: error instanceof Error ? error.message : String(error) });
    }
  };
  for (const { uuid, xml } of domains) await look(uuid, () => isNamedIn(xml, path));
  for (const directory of places.directories) {
    await look(directory, async () => {
      for (const image of await filesBeneath(directory)) {
        if (image !== path) await look(image, () => isBackedBy(files, places, image, path));
      }
      return false;
    });
  }
  return { found, unknown };
}

const isNamedIn = (xml: string, path: string): boolean =>
  hostPaths(parseXml(xml, "domain")).some(named => resolve("/", named.path) === path);

async function filesBeneath(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
}

/** Here an image's content does decide: a raw disk that looks like qcow2 can at worst keep a file from deletion. */
async function isBackedBy(files: Files, places: ImagePlaces, image: string, path: string): Promise<boolean> {
  await using file: ImageFile = await openImageFile(files, places, image);
  const start = await file.read(0, Math.min(4, file.sizeBytes));
  if (!looksLikeQcow2(start)) return false;
  const header = readQcow2Header(await file.read(0, Math.min(MAX_QCOW2_HEADER_BYTES, file.sizeBytes)));
  if (header.backingFile === undefined) return false;
  const plainName = header.backingFile.replace(/^file:/, "");
  return plainName.startsWith("json:")
    ? plainName.includes(path)
    : resolve(dirname(image), plainName) === path;
}
