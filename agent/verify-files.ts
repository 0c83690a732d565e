/**
 * Reads the files of a copy receipt again, past the page cache where that means the device, and says of each whether it
 * still is what the receipt states. Nothing is changed, and what a running guest writes is not read.
 *
 * A difference is an accusation, so it is made only of a file that nobody has written to since: a guest's own disk changes
 * as soon as the guest runs, and by its time of modification it says so.
 */

import { stat } from "node:fs/promises";
import type { VerifyFilesRequest, VerifyFilesResponse } from "../proto/gen/ferry/v1/agent.js";
import type { CopiedFile, FileVerdict } from "../proto/gen/ferry/v1/model.js";
import { digestBelow, type FileDigest } from "./transfer/digest-file.js";
import { fileFault } from "./transfer/file-fault.js";
import { trustedRoot } from "./verbs/incoming-artifacts.js";
import type { World } from "./verbs/verb.js";

type Outcome = "equal" | "differs" | "missing" | "changed" | "in-use" | "unread" | "exempt";

export async function* verifyFiles(
  { serverId, files }: VerifyFilesRequest,
  signal: AbortSignal,
  world: World,
): AsyncGenerator<VerifyFilesResponse> {
  using reading = world.readings.begin(serverId, signal);
  for (const file of files) {
    yield { verdict: await reading.during(ended => verdictOn(file, serverId, ended, world)) };
  }
}

async function verdictOn(
  file: CopiedFile,
  serverId: string,
  signal: AbortSignal,
  world: World,
): Promise<FileVerdict> {
  const { root } = trustedRoot(file.path, world);
  if (file.algorithm === "" || file.digest === "")
    return verdict(file, "exempt", "the receipt has no digest of it");
  if (!world.engine.algorithms.includes(file.algorithm))
    return verdict(file, "unread", `this host cannot compute ${file.algorithm}`);
  if (root === undefined) return verdict(file, "unread", "lies in no image folder of this host");
  if (!isBacking(file.id) && (await isRunning(serverId, world)))
    return verdict(file, "in-use", "the guest runs and may write to it: stop it first");
  try {
    const { mtimeMs } = await stat(file.path);
    const how = { signal, algorithm: file.algorithm };
    return judge(file, await digestBelow(world.files, file.path, root, how), mtimeMs);
  } catch (thrown) {
    signal.throwIfAborted();
    const fault = fileFault(thrown, `read ${file.path}`);
    return verdict(file, fault.code === "not-found" ? "missing" : "unread", fault.message);
  }
}

async function isRunning(serverId: string, { hypervisor }: World): Promise<boolean> {
  const domain = await hypervisor.findDomain(serverId);
  return domain !== undefined && domain.state !== "shut-off";
}

/** `vda/1` and deeper: what guests read and never write. */
const isBacking = (id: string): boolean => /\/[1-9]\d*$/.test(id);

function judge(file: CopiedFile, found: FileDigest, mtimeMs: number): FileVerdict {
  const read = { found: found.rootDigest, readBack: found.readBackMode };
  if (found.rootDigest === file.digest) return { ...verdict(file, "equal", ""), ...read };
  const times = `modified ${timeText(mtimeMs)}, received ${timeText(file.atMs)}`;
  if (mtimeMs > file.atMs) return { ...verdict(file, "changed", `written to since: ${times}`), ...read };
  return {
    ...verdict(file, "differs", `not what was received, and not written to since: ${times}`),
    ...read,
  };
}

const timeText = (ms: number): string => new Date(ms).toISOString();

const verdict = (
  { id, path, algorithm, digest }: CopiedFile,
  outcome: Outcome,
  reason: string,
): FileVerdict => ({
  id,
  path,
  outcome,
  algorithm,
  expected: digest,
  found: "",
  readBack: "",
  reason,
});
