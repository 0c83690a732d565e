/**
 * Is the hook on disk the one that Ferry ships (SAFETY R6e)? A hook that is gone, not executable or rewritten lets
 * every start through without a word, so this is looked at every minute.
 *
 * It says nothing about whether the running daemon calls the hook: that is `proveHook`.
 */

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

export type HookAudit = { readonly intact: true } | { readonly intact: false; readonly problem: string };

export interface HookAuditSubject {
  /** /etc/libvirt/hooks/qemu.d/50-ferry */
  readonly path: string;
  /** What `hookText` gives for this host. */
  readonly expectedText: string;
  readonly ownerUid?: number;
}

export async function auditHook({ path, expectedText, ownerUid = 0 }: HookAuditSubject): Promise<HookAudit> {
  const altered = (problem: string): HookAudit => ({ intact: false, problem: `${path} ${problem}` });
  let hook: FileHandle;
  try {
    hook = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    return altered(`cannot be opened: ${error instanceof Error ? error.message : String(error)}`);
  }
  await using file = hook;
  const { mode, uid } = await file.stat();
  if ((mode & constants.S_IFMT) !== constants.S_IFREG) return altered("is not a regular file");
  if (uid !== ownerUid) return altered(`belongs to uid ${uid}, not ${ownerUid}`);
  if ((mode & 0o7777) !== HOOK_MODE) return altered(`has mode ${(mode & 0o7777).toString(8)}, not 755`);
  const [have, need] = [digest(await file.readFile()), digest(expectedText)];
  return have === need ? { intact: true } : altered(`has SHA-256 ${have}, not ${need}`);
}

export const HOOK_MODE = 0o755;

const digest = (content: Buffer | string): string => createHash("sha256").update(content).digest("hex");
