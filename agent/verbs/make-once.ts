/**
 * A file that Ferry makes for a server, whole and durable or not at all: journalled before it is made, and one that an
 * interrupted call recorded is made again. Fault("already-exists") when somebody else's has the name.
 */

import { basename, dirname } from "node:path";
import { Fault } from "../../proto/fault.js";
import { factsAt, removeByIdentity } from "../disk/file-identity.js";
import { flushDirectory } from "../fence/durable-file.js";
import type { Call, World } from "./verb.js";

export async function makeOnce(
  path: string,
  { serverId, migrationId }: Pick<Call, "serverId" | "migrationId">,
  { artifacts, files }: Pick<World, "artifacts" | "files">,
  make: () => Promise<unknown>,
): Promise<void> {
  const earlier = artifacts.of(serverId, migrationId).find(artifact => artifact.path === path);
  const there = await factsAt(files, path);
  if (there !== undefined) {
    if (earlier === undefined)
      throw new Fault("already-exists", `${path} exists already`, {
        fix: "move it away, or choose another name",
      });
    await removeByIdentity(files, dirname(path), earlier.identity ?? there, basename(path));
  }
  const artifact = { serverId, migrationId, path, kind: "created" } as const;
  artifacts.record({ ...artifact, identity: undefined });
  await make();
  await flushDirectory(dirname(path));
  artifacts.record({ ...artifact, identity: await factsAt(files, path) });
}
