/**
 * What an agent states when an incarnation cannot run on its host: the contents of a receipt, before signing.
 *
 * A `fence` statement is the source's, a `mirror` statement the target's. The facts are constants on purpose: a
 * statement of anything less does not exist, and whoever builds one has just checked each of them.
 */

import type { FileIdentity } from "../os/files.js";

export interface StatedFile extends FileIdentity {
  /** As in the manifest: "vda/0", "nvram", "tpm". */
  readonly id: string;
  /** Where it lies now, aside. */
  readonly path: string;
  /** copied | re-created | shared | volume (SAFETY R1). */
  readonly mode: string;
}

export interface StatedDevice {
  readonly id: string;
  readonly path: string;
  readonly identity: string;
}

export interface FenceStatement {
  readonly kind: "fence" | "mirror";
  readonly server: string;
  readonly migration: string;
  readonly incarnation: string;
  readonly epoch: number;
  /** The host that speaks, and the one that the statement is for. */
  readonly host: string;
  readonly peerHost: string;
  readonly bootId: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly facts: {
    readonly domain: "undefined";
    readonly running: false;
    readonly filesOpen: false;
    readonly refusesBelowEpoch: number;
  };
  readonly files: readonly StatedFile[];
  /** Block devices that nobody on the host has open; they stay where they are. */
  readonly devices?: readonly StatedDevice[];
}

/** Just checked, each of it: not defined, not running, no process has its files open. */
export function fenceStatement(
  subject: Omit<FenceStatement, "facts" | "files" | "devices">,
  files: readonly StatedFile[],
  devices: readonly StatedDevice[] = [],
): FenceStatement {
  return {
    ...subject,
    facts: { domain: "undefined", running: false, filesOpen: false, refusesBelowEpoch: subject.epoch },
    files,
    ...(devices.length === 0 ? {} : { devices }),
  };
}
