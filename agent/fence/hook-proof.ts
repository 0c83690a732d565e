/**
 * Proof that the running libvirt daemon really asks our hook, and that the hook reads this host's guest files
 * (SAFETY R6d). A hook dropped in beside a running daemon is not called, and nothing says so.
 *
 * The probe is a domain without disks or networks, denied under a fresh nonce. Only a start that is refused with
 * that nonce in its message proves anything. The probe has one fixed uuid, so that what a killed agent left of it is
 * used again.
 */

import { randomUUID } from "node:crypto";
import { Fault } from "../../proto/fault.js";
import type { Hypervisor } from "../os/hypervisor.js";
import type { GuestFiles } from "./guest-file.js";

export type HookProof =
  | { readonly proven: true /** Milliseconds since the epoch. */; readonly at: number }
  | {
      readonly proven: false;
      readonly problem: string;
      /** The daemon was away while it was looked at: it will be found out once that is back. */
      readonly pending?: boolean;
    };

export interface HookProofEdges {
  readonly hypervisor: Pick<Hypervisor, "define" | "start" | "destroy" | "undefine" | "findDomain">;
  readonly guestFiles: Pick<GuestFiles, "deny">;
  readonly clock: () => number;
}

export const HOOK_NOT_LOADED = "restart libvirtd: hook not loaded";

export const PROBE_UUID = "fe44e9b0-0b0e-4f1e-8c0a-5e1f7e57ed00";
const PROBE_NAME = `ferry-hook-probe-${PROBE_UUID.slice(0, 8)}`;

/** Never throws for the world: what cannot be found out is not proven. */
export async function proveHook(edges: HookProofEdges): Promise<HookProof> {
  const nonce = randomUUID();
  try {
    await edges.guestFiles.deny(PROBE_UUID, `this is the self-test of the hook, ${nonce}`);
    await edges.hypervisor.define(probeXml());
    const problem = await startProbe(edges, nonce);
    await removeProbe(edges);
    return problem === undefined ? { proven: true, at: edges.clock() } : { proven: false, problem };
  } catch (error) {
    const pending = error instanceof Fault && error.isUnknown;
    return { proven: false, pending, problem: `the hook's self-test failed: ${messageOf(error)}` };
  }
}

/** Undefined: refused, in the hook's own words. */
async function startProbe({ hypervisor }: HookProofEdges, nonce: string): Promise<string | undefined> {
  try {
    await hypervisor.start(PROBE_UUID, { paused: true });
    return HOOK_NOT_LOADED;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.message.includes(nonce)) return undefined;
    if (error.isUnknown) throw error;
    return `${HOOK_NOT_LOADED} (the self-test's guest was refused by something else: ${error.message})`;
  }
}

async function removeProbe({ hypervisor }: HookProofEdges): Promise<void> {
  const probe = await hypervisor.findDomain(PROBE_UUID);
  if (!probe) return;
  if (probe.state !== "shut-off") await hypervisor.destroy(PROBE_UUID, { graceful: false });
  await hypervisor.undefine(PROBE_UUID);
}

/** Paused, without a disk or a network: even a start that goes through touches nothing. */
const probeXml = (): string =>
  `<domain type="qemu"><name>${PROBE_NAME}</name><uuid>${PROBE_UUID}</uuid>` +
  `<title>Self-test of Ferry's hook; it never starts</title>` +
  `<memory unit="MiB">16</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>`;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
