/** Folders that Ferry made are removed when nothing is left in them; a folder with anything in it stays. */

import { rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import { factsAt, isSameFile } from "../disk/file-identity.js";
import { flushIfThere } from "../fence/durable-file.js";
import type { World } from "./verb.js";

export async function removeEmptyFolders(serverId: string, migrationId: string, world: World): Promise<void> {
  const deepestFirst = world.artifacts
    .of(serverId, migrationId)
    .sort((a, b) => b.path.length - a.path.length);
  for (const { path, identity } of deepestFirst) {
    const there = await factsAt(world.files, path);
    if (there !== undefined && (identity === undefined || !isSameFile(there, identity))) continue;
    if (there !== undefined && !(await isRemoved(path))) continue;
    await flushIfThere(dirname(path));
    world.artifacts.forget(serverId, migrationId, path);
  }
}

const isRemoved = (path: string): Promise<boolean> =>
  rmdir(path).then(
    () => true,
    () => false,
  );
