/**
 * Whether this host has every block device of a server that is to come: the same one by proof, of the same size, under the same
 * path, and nobody here has it open (SAFETY R1).
 */

import { asFault, Fault } from "../../proto/fault.js";
import type { DiskDevice, SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { refusal } from "../claim/refusal.js";
import { identityOf, isProvenSame } from "../disk/block-device.js";
import { isSameHost } from "./same-host.js";
import type { World } from "./verb.js";

export async function deviceRefusals(
  { blockDevices }: SourceManifest,
  sourceHost: string,
  world: World,
  { sourceIsFenced = false } = {},
): Promise<FaultInfo[]> {
  // Before the fence, a server that stays on its host has them open itself.
  const isAsked = sourceIsFenced || !isSameHost(sourceHost, world);
  const patienceMs = sourceIsFenced ? AFTER_FENCE_PATIENCE_MS : PATIENCE_MS;
  const found: FaultInfo[] = [];
  for (const device of blockDevices)
    found.push(...(await refusalsOf(device, isAsked ? patienceMs : undefined, world)));
  return found;
}

const PATIENCE_MS = 1_000;
/** Two agents on one kernel: the source's guest may have ended just now. */
const AFTER_FENCE_PATIENCE_MS = 10_000;

/** In this host's own words, for those that were found to be the same. */
export const readAsHere = (devices: readonly DiskDevice[], { blockDevices }: World): Promise<DiskDevice[]> =>
  Promise.all(
    devices.map(async ({ targetDev, path }) => ({ targetDev, ...(await blockDevices.read(path)) })),
  );

export const isSameDisk = (one: DiskDevice, other: DiskDevice): boolean =>
  one.path === other.path && one.sizeBytes === other.sizeBytes && isProvenSame(one, other);

async function refusalsOf(
  device: DiskDevice,
  patienceMs: number | undefined,
  world: World,
): Promise<FaultInfo[]> {
  const { targetDev, path } = device;
  try {
    const here = { targetDev, ...(await world.blockDevices.read(path)) };
    if (!isSameDisk(device, here)) return [unproven(device, here)];
    const holders = patienceMs === undefined ? [] : await world.blockDevices.holders(path, patienceMs);
    return holders.length === 0 ? [] : [inUse(device, holders)];
  } catch (thrown) {
    const fault = asFault(thrown);
    if (fault.code === "internal" || !(thrown instanceof Fault)) throw fault;
    return [
      refusal(
        "refused",
        `disk ${targetDev}: the target has no block device ${path} to use: ${fault.message}`,
        {
          have: fault.detail.have ?? fault.message,
          need: `${path}, the same device as on the source`,
          fix: `${fault.detail.fix ?? "see what the path is on the target"}; or, if it is a device of one host alone, ${COPY_IT}`,
        },
      ),
    ];
  }
}

function unproven(device: DiskDevice, here: DiskDevice): FaultInfo {
  const { targetDev, path } = device;
  const isNameless = device.worldWideId === "" || here.worldWideId === "";
  const message = isNameless
    ? `disk ${targetDev}: that ${path} is one device on both hosts cannot be proven`
    : `disk ${targetDev}: ${path} is another device on the target`;
  return refusal("refused", message, {
    have: inWords(here),
    need: inWords(device),
    fix: isNameless
      ? `put the disk on a device with a world-wide name that both hosts reach (SAN, iSCSI, multipath), or ${COPY_IT}`
      : `see what the path is on both hosts, or use its name in /dev/disk/by-id; if the disk is of one host alone, ${COPY_IT}`,
  });
}

/** To a person who knows that it is a device of one host alone. */
const COPY_IT = "have it become a file on the target: --block-disks copy";

const inWords = (device: DiskDevice): string =>
  `${identityOf(device) || "no name"}, ${device.sizeBytes} bytes${device.lacking === "" ? "" : ` (${device.lacking})`}`;

const inUse = ({ targetDev, path }: DiskDevice, holders: readonly string[]): FaultInfo =>
  refusal("refused", `disk ${targetDev}: the block device ${path} is open on the target`, {
    have: holders.join(", "),
    need: "a device that nobody on the target has open",
    fix: `end that use of it on the target: fuser -v ${path}, lsblk ${path}`,
  });
