/**
 * The source's block devices while they are copied: claimed, read through one descriptor each, and watched.
 *
 * There is no lease on a device, and a QEMU started by hand would ask for no claim. What tells is the kernel's count of writes:
 * once it moves, the copy ends.
 */

import { Fault } from "../../proto/fault.js";
import { lastingIdentityOf } from "../disk/block-device.js";
import type { BlockDevices, HeldDevice } from "../disk/block-devices.js";
import type { FencedDevice } from "../fence/fence-record.js";
import { SETTLE_MS } from "../fence/verify-dead.js";
import type { OutgoingFile } from "../transfer/outgoing-file.js";

export interface HeldDevices extends AsyncDisposable {
  /** How it is sent; undefined for what is not held. */
  outgoing(id: string): OutgoingFile | undefined;
  /** Rejects once one of them was written to. */
  requireUnwritten(): Promise<void>;
}

interface Held {
  readonly fenced: FencedDevice;
  readonly held: HeldDevice;
}

export async function holdDevices(
  devices: readonly FencedDevice[],
  blockDevices: Pick<BlockDevices, "hold">,
): Promise<HeldDevices> {
  const all: Held[] = [];
  const release = async (): Promise<void> => {
    for (const { held } of all.splice(0)) await held[Symbol.asyncDispose]();
  };
  try {
    for (const fenced of devices) {
      all.push({ fenced, held: await blockDevices.hold(fenced.path, SETTLE_MS) });
    }
    await requireUnwritten(all);
  } catch (error) {
    await release();
    throw error;
  }
  return {
    outgoing: id => outgoing(all.find(({ fenced }) => fenced.id === id)),
    requireUnwritten: () => requireUnwritten(all),
    [Symbol.asyncDispose]: release,
  };
}

const outgoing = (found: Held | undefined): OutgoingFile | undefined =>
  found && { id: found.fenced.id, path: found.fenced.path, fd: found.held.fd, facts: found.held.facts };

async function requireUnwritten(all: readonly Held[]): Promise<void> {
  for (const { fenced, held } of all) {
    const { id, path, identity, asFenced } = fenced;
    const have = lastingIdentityOf(held.device);
    if (have !== identity)
      throw new Fault("conflict", `${id}: ${path} is another device than was fenced`, {
        have,
        need: identity,
        fix: "make the device visible under its path again, then repeat",
      });
    const { device: kernelId, mtimeNs: writes } = await held.facts();
    // After a reboot the count begins anew: what is on it then is compared leaf by leaf.
    if (asFenced?.kernelId !== kernelId || asFenced.writes === writes) continue;
    throw new Fault("conflict", `${id}: ${path} was written to since the server was fenced`, {
      have: `${writes} sectors written`,
      need: `${asFenced.writes} sectors written`,
      fix: `find what writes to the disk of a stopped guest: fuser -v ${path}`,
    });
  }
}
