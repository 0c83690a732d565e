/** What a migration makes on its target, journalled before it is made (DESIGN invariant 7). */

import { chmod, mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { isBeneath } from "../claim/place-files.js";
import { factsAt } from "../disk/file-identity.js";
import { flushDirectory } from "../fence/durable-file.js";
import type { FileIdentity } from "../os/files.js";
import { transferredIdentity } from "../transfer/incoming-file.js";
import { STATE_DIRS } from "./state-dirs.js";
import type { Call, World } from "./verb.js";

/** Without an identity it is the intent; with one it may be removed by it. */
export function recordIncoming(
  path: string,
  identity: FileIdentity | undefined,
  call: Call,
  world: World,
): void {
  const { serverId, migrationId } = call;
  world.artifacts.record({ serverId, migrationId, path, kind: "incoming", identity });
}

/**
 * The file or folder that this migration made under a name, whatever has the name now; undefined when it made none. A
 * file that was received and not yet recorded is known from its transfer's own journal.
 */
export async function incomingIdentity(
  path: string,
  { serverId, migrationId }: Call,
  world: World,
): Promise<FileIdentity | undefined> {
  const recorded = world.artifacts.of(serverId, migrationId).find(artifact => artifact.path === path);
  if (recorded === undefined || recorded.identity !== undefined) return recorded?.identity;
  return transferredIdentity(world.files, { targetPath: path, ...trustedRoot(path, world) }, migrationId);
}

/** Below which no link is followed; nothing for a path that lies in no folder of ours. */
export function trustedRoot(path: string, { config }: World): { readonly root?: string } {
  const root = [...config.image_dirs, ...STATE_DIRS].find(folder => isBeneath(path, folder));
  return root === undefined ? {} : { root };
}

const FOLDER_MODE = 0o711;

/**
 * Makes a folder and those above it that are missing, each recorded, so that an unwinding leaves none behind. Its name is
 * flushed: after a power cut a file that was received is nowhere if its folder is.
 */
export async function makeFolder(path: string, call: Call, world: World): Promise<void> {
  if (await world.exists(path)) return flushIfOurs(path, call, world);
  await makeFolder(dirname(path), call, world);
  recordIncoming(path, undefined, call, world);
  await mkdir(path).then(
    // Not the mode of `mkdir`, which the umask narrows: QEMU's user has to pass through.
    () => chmod(path, FOLDER_MODE),
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    },
  );
  await flushDirectory(dirname(path));
  recordIncoming(path, await factsAt(world.files, path), call, world);
}

/** Made by an earlier attempt, which may have been killed before the flush. */
async function flushIfOurs(path: string, { serverId, migrationId }: Call, world: World): Promise<void> {
  const isOurs = world.artifacts.of(serverId, migrationId).some(artifact => artifact.path === path);
  if (isOurs) await flushDirectory(dirname(path));
}
