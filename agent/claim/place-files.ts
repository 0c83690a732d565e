/**
 * Where each file of a server will lie on the target. Pure.
 *
 * A file keeps its absolute path where the target has that folder among its image folders: then nothing in the
 * domain or in a qcow2 header has to change. Otherwise an active layer moves to the target's first image folder
 * under the same relative path. A backing file cannot move, because the layer above names it; it must find its own
 * path free, or taken by the very same bytes.
 */

import { posix } from "node:path";
import type { ManifestFile, PlannedFile } from "../../proto/gen/ferry/v1/agent.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { refusal } from "./refusal.js";

export interface TargetFolders {
  readonly imageDirs: readonly string[];
  /** Folders beside the image folders into which NVRAM and vTPM state may be placed, path kept. */
  readonly stateDirs: readonly string[];
}

/** What stands at a path of the target already: nothing, or a file with this digest (empty when it was not read). */
export interface Occupied {
  readonly path: string;
  readonly digest: string;
}

/** By folder of the source: the same one on the target, another one, or why that is not known. */
export type StorageByFolder = ReadonlyMap<string, "shared" | "apart" | FaultInfo>;

export interface Placement {
  readonly files: readonly PlannedFile[];
  readonly refusals: readonly FaultInfo[];
}

export function placeFiles(
  files: readonly ManifestFile[],
  folders: TargetFolders,
  occupied: readonly Occupied[],
  storage: StorageByFolder,
): Placement {
  const outcomes = files.map(file => placeFile(file, folders, occupied, storage));
  return {
    files: outcomes.flatMap(outcome => ("planned" in outcome ? [outcome.planned] : [])),
    refusals: outcomes.flatMap(outcome => ("refused" in outcome ? [outcome.refused] : [])),
  };
}

type Outcome = { readonly planned: PlannedFile } | { readonly refused: FaultInfo };

function placeFile(
  file: ManifestFile,
  folders: TargetFolders,
  occupied: readonly Occupied[],
  storage: StorageByFolder,
): Outcome {
  const path = targetPathOf(file, folders);
  const onStorage = storage.get(posix.dirname(file.path)) ?? "apart";
  const isShared = onStorage === "shared";
  // What lies below the active layers is never touched, so that it need not be known whether the source has it as well.
  if (typeof onStorage !== "string" && file.kind !== "backing" && file.kind !== "media")
    return { refused: onStorage };
  if (path === undefined || (isShared && path !== file.path)) {
    return {
      refused: refusal("refused", `${file.id}: ${file.path} lies in no folder of the target`, {
        have: folders.imageDirs.join(", "),
        need: posix.dirname(file.path),
        fix: "add the folder to image_dirs of the target's agent, or flatten the disk",
      }),
    };
  }
  const inTheWay = occupied.find(other => other.path === path);
  const planned = {
    id: file.id,
    path,
    sizeBytes: file.sizeBytes,
    permissions: file.permissions,
    mode: file.mode,
    newSizeBytes: 0,
    format: "",
    role: "",
  };
  if (isShared) return { planned: { ...planned, mode: "shared" } };
  if (inTheWay === undefined) return { planned };
  if (file.kind === "backing" && file.digest !== "" && inTheWay.digest === file.digest) {
    return { planned: { ...planned, mode: "present" } };
  }
  return { refused: takenRefusal(file, path, inTheWay) };
}

/** The path on the target, or undefined where none is allowed. */
export function targetPathOf(file: ManifestFile, folders: TargetFolders): string | undefined {
  const isState = file.kind === "nvram" || file.kind === "tpm";
  const allowed = isState ? folders.stateDirs : folders.imageDirs;
  if (allowed.some(folder => isBeneath(file.path, folder))) return file.path;
  const [first] = folders.imageDirs;
  if (isState || file.kind === "backing" || first === undefined || file.relativePath === "") return undefined;
  const moved = posix.join(first, file.relativePath);
  return isBeneath(moved, first) ? moved : undefined;
}

/** Is `path`, taken literally, below `folder`? Names with `..` are not below anything. */
export function isBeneath(path: string, folder: string): boolean {
  if (path !== posix.normalize(path)) return false;
  const prefix = folder.endsWith("/") ? folder : `${folder}/`;
  return path.startsWith(prefix) && path.length > prefix.length;
}

function takenRefusal(file: ManifestFile, path: string, inTheWay: Occupied): FaultInfo {
  const isBacking = file.kind === "backing";
  return refusal("already-exists", `${file.id}: ${path} exists on the target already`, {
    have:
      inTheWay.digest === ""
        ? "another file, or the same one on shared storage"
        : `digest ${inTheWay.digest.slice(0, 16)}…`,
    need: isBacking && file.digest !== "" ? `no file, or digest ${file.digest.slice(0, 16)}…` : "no file",
    fix: `look at it on the target and move it away if it is not needed: ${path}`,
  });
}
