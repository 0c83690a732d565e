/**
 * The digest root of a whole file that does not change, such as a base image; kept in the journal under the file's
 * identity, size and times, so that a large base is read once and not at every migration.
 */

import { open } from "node:fs/promises";
import { digestFile } from "../transfer/digest-file.js";
import type { Call, World } from "./verb.js";

/** Below this nobody waits for it. */
const NOTEWORTHY_BYTES = 4 * 1024 ** 3;

export async function fileDigest(path: string, sizeBytes: number, call: Call, world: World): Promise<string> {
  await using file = await open(path, "r");
  const facts = await world.files.facts(file.fd);
  if (facts.sizeBytes !== sizeBytes) return "";
  const { algorithm } = world.files.newDigestTree(0);
  const stamp = [
    facts.device,
    facts.inode,
    facts.birthNs,
    facts.sizeBytes,
    facts.mtimeNs,
    facts.ctimeNs,
    algorithm,
  ].join(":");
  const known = world.documents.get<{ stamp: string; digest: string }>("", path, "digest");
  if (known?.stamp === stamp) return known.digest;
  if (sizeBytes >= NOTEWORTHY_BYTES) call.note(`read ${path} once to know its digest, while the guest ran`);
  const { rootDigest: digest } = await digestFile(world.files, path, { signal: call.signal, algorithm });
  world.documents.put("", path, "digest", { stamp, digest });
  return digest;
}
