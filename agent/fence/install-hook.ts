/**
 * Puts the hook beside libvirt and says whether the running daemon uses it.
 *
 * Written as a whole and renamed into place, 0755, as qemu.d/50-ferry; the file `qemu` of whoever owns it is never
 * touched (SAFETY R6a). The half-written file lies one directory above, because libvirt runs whatever is in qemu.d.
 */

import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "../../proto/fault.js";
import { writeDurably } from "./durable-file.js";
import { auditHook, HOOK_MODE, type HookAudit } from "./hook-audit.js";
import type { HookProof } from "./hook-proof.js";

export interface HookPlace {
  /** /etc/libvirt/hooks/qemu.d */
  readonly hookDir: string;
  /** As built into the hook: /var/lib/ferry and /run/ferry. */
  readonly stateDir: string;
  readonly runDir: string;
}

export type HookInstallation = { readonly changed: boolean } & HookProof;

/** The shipped hook with this host's directories in it. */
export async function hookText({ stateDir, runDir }: Omit<HookPlace, "hookDir">): Promise<string> {
  const shipped = await readFile(new URL("./50-ferry", import.meta.url), "utf8");
  return shipped
    .replace(/^STATE_DIR=.*$/m, `STATE_DIR=${requirePlainPath(stateDir)}`)
    .replace(/^RUN_DIR=.*$/m, `RUN_DIR=${requirePlainPath(runDir)}`);
}

export const hookPath = (hookDir: string): string => join(hookDir, "50-ferry");

/** `prove` runs the self-test against the daemon that runs now; not proven, its problem says what to do. */
export async function installHook(
  place: HookPlace,
  prove: () => Promise<HookProof>,
): Promise<HookInstallation> {
  const expectedText = await hookText(place);
  const path = hookPath(place.hookDir);
  const audit = await auditHook({ path, expectedText });
  if (!audit.intact) {
    await writeDurably(path, expectedText, { mode: HOOK_MODE, scratch: dirname(place.hookDir) });
    requireIntact(await auditHook({ path, expectedText }));
  }
  return { changed: !audit.intact, ...(await prove()) };
}

function requireIntact(audit: HookAudit): void {
  if (!audit.intact) throw new Fault("failed", `install the hook: ${audit.problem}`, { fix: "run as root" });
}

/** It becomes part of a shell script. */
function requirePlainPath(path: string): string {
  if (/^(\/[\w.-]+)+$/.test(path)) return path;
  throw new Fault("invalid-argument", `${JSON.stringify(path)} is not a plain absolute path`);
}
