/**
 * Which folders of the source are the same ones on the target, settled while the guest runs and with proof from both sides
 * (SAFETY R1): each writes a file with random content and looks for the other's.
 *
 *   prepare-source   the source writes, and says on which file system
 *   prepare-target   the target looks, plans accordingly, and writes
 *   prove-storage    the source looks: what the plan calls shared must be seen, what it copies must not
 *
 * A check writes nothing and goes by the identities of the files instead.
 */

import { dirname, join } from "node:path";
import type { ManifestFile, SourceManifest, StorageFolder } from "../../proto/gen/ferry/v1/agent.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { isBeneath } from "../claim/place-files.js";
import { refusal } from "../claim/refusal.js";
import { factsAt } from "../disk/file-identity.js";
import {
  isSurelyLocal,
  lookForNonce,
  type NoncePlace,
  nonceName,
  removeNonce,
  writeNonce,
} from "../disk/storage-nonce.js";
import type { FileIdentity } from "../os/files.js";
import { mountOf, parseMounts } from "../probe/mounts.js";
import { openTrees } from "../probe/roots.js";
import type { Call, World } from "./verb.js";

/** `apart`: two folders, whatever their names. A refusal: it cannot be known. */
export type Storage = "shared" | "apart" | FaultInfo;

const ON_STORAGE = new Set(["disk", "swap", "config-drive", "backing", "media"]);

const foldersOf = (files: readonly ManifestFile[]): string[] => [
  ...new Set(files.filter(({ kind }) => ON_STORAGE.has(kind)).map(({ path }) => dirname(path))),
];

/** Without their nonces, which only a migration writes. */
export async function describeFolders(
  files: readonly ManifestFile[],
  world: World,
): Promise<StorageFolder[]> {
  const fileSystemOf = await readFileSystems(world);
  return foldersOf(files).map(path => ({
    path,
    fileSystem: fileSystemOf(path),
    nonceName: "",
    nonce: Buffer.alloc(0),
  }));
}

/** Journalled before it is written: whatever dies in between, the end of the migration removes it. */
export async function writeNonces(
  folders: readonly StorageFolder[],
  side: "source" | "target",
  call: Call,
  world: World,
): Promise<StorageFolder[]> {
  const name = nonceName(call.migrationId, side);
  const places = folders.map(({ path }) => placeOf(join(path, name), world));
  const paths = places.flatMap(place => (place === undefined ? [] : [place.path]));
  const known = new Set([...writtenNonces(call, world), ...paths]);
  world.documents.put(call.serverId, call.migrationId, NONCES, [...known]);
  return Promise.all(
    folders.map(async (folder, index) => {
      const place = places[index];
      const nonce = place === undefined ? Buffer.alloc(0) : await writeNonce(world.files, place);
      return { ...folder, nonceName: name, nonce };
    }),
  );
}

/** The document that names the files of a migration's nonces on this host. */
export const NONCES = "nonces";

const writtenNonces = ({ serverId, migrationId }: Call, { documents }: World): string[] =>
  documents.get<string[]>(serverId, migrationId, NONCES) ?? [];

/** Nothing is written or looked for outside the image folders, whatever the other side names. */
function placeOf(path: string, { config }: World): NoncePlace | undefined {
  const root = config.image_dirs.find(folder => isBeneath(path, folder));
  return root === undefined ? undefined : { path, root };
}

export async function isNonceSeen(
  { path, nonceName: name, nonce }: StorageFolder,
  world: World,
): Promise<boolean> {
  const place = placeOf(join(path, name), world);
  if (place === undefined || nonce.length === 0) return false;
  return (await lookForNonce(world.files, place, nonce)) === "seen";
}

export async function removeNonces(call: Call, world: World): Promise<void> {
  for (const path of writtenNonces(call, world)) await removeNonce(path);
}

/** The source's folders as this target finds them, by path. */
export async function settleStorage(manifest: SourceManifest, world: World): Promise<Map<string, Storage>> {
  const fileSystemOf = await readFileSystems(world);
  const settled = manifest.folders.map(async folder => {
    const isSeen = folder.nonceName === "" ? recognise(folder, manifest, world) : isNonceSeen(folder, world);
    const here = fileSystemOf(folder.path);
    const isLocal = isSurelyLocal(folder.fileSystem) && isSurelyLocal(here);
    const storage: Storage = (await isSeen) ? "shared" : isLocal ? "apart" : unknown(folder, here);
    return [folder.path, storage] as const;
  });
  return new Map(await Promise.all(settled));
}

/** Good enough for a check: the same inode, born in the same nanosecond. */
async function recognise(
  { path: folder }: StorageFolder,
  { files }: SourceManifest,
  world: World,
): Promise<boolean> {
  for (const { path, identity } of files.filter(file => dirname(file.path) === folder)) {
    const there = await factsAt(world.files, path);
    if (there !== undefined && identity !== "" && identityText(there) === identity) return true;
  }
  return false;
}

/** Empty where the file system records no birth time: an inode alone is no identity across hosts. */
export const identityText = ({ inode, birthNs }: FileIdentity): string =>
  birthNs === "0" ? "" : `${inode}:${birthNs}`;

function unknown({ path, fileSystem }: StorageFolder, here: string): FaultInfo {
  return refusal("refused", `whether ${path} is the same folder on both hosts is not known`, {
    have: `${fileSystem || "an unknown file system"} on the source, ${here || "an unknown file system"} on the target, and what one writes is not seen by the other`,
    need: "a share that both see, or file systems of one host each",
    fix: `mount the same share as ${path} on both hosts, or move the disks to a local folder first`,
  });
}

async function readFileSystems({ roots, log }: World): Promise<(path: string) => string> {
  const trees = openTrees(roots, problem => log.debug({ problem }, "not known of this host"));
  const mounts = (await trees.proc.value("self/mountinfo", parseMounts)) ?? [];
  return path => mountOf(path, mounts)?.fileSystem ?? "";
}
