/** Where a server's files will lie on this host, with what lies there already looked at. */

import { dirname } from "node:path";
import type { SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import { type Placement, placeFiles, targetPathOf } from "../claim/place-files.js";
import { fileDigest } from "./file-digest.js";
import { isSameHost, placeInPlace } from "./same-host.js";
import { STATE_DIRS } from "./state-dirs.js";
import { settleStorage } from "./storage-proof.js";
import type { Call, World } from "./verb.js";

const foldersOf = ({ config }: World) => ({ imageDirs: config.image_dirs, stateDirs: STATE_DIRS });

export async function placeOnTarget(
  manifest: SourceManifest,
  sourceHost: string,
  call: Call,
  world: World,
): Promise<Placement> {
  if (isSameHost(sourceHost, world)) return placeInPlace(manifest.files);
  const folders = foldersOf(world);
  const storage = await settleStorage(manifest, world);
  const taken = manifest.files.map(async file => {
    const path = targetPathOf(file, folders);
    if (path === undefined || !(await world.exists(path))) return [];
    const isShared = storage.get(dirname(file.path)) === "shared";
    const isComparable = file.kind === "backing" && file.digest !== "" && !isShared;
    return [{ path, digest: isComparable ? await fileDigest(path, file.sizeBytes, call, world) : "" }];
  });
  return placeFiles(manifest.files, folders, (await Promise.all(taken)).flat(), storage);
}

/** Where files that other servers may live on as well will lie. */
export const sharedPaths = ({ files }: SourceManifest, world: World): string[] =>
  files.filter(({ kind }) => kind === "backing").flatMap(file => targetPathOf(file, foldersOf(world)) ?? []);
