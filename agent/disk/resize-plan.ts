/**
 * What a flavor makes of a server's disks. Pure: from the disks as they are to what grows, what is added and what is
 * left out, with every refusal.
 *
 *   root        grows to the flavor's size                     smaller: refused
 *   ephemeral   grows, or is added                             smaller, or gone: refused
 *   swap        made anew at the flavor's size, added or left out; never copied
 *
 * A size of 0 for the root means "as it is" for servers that were made so. A volume is its owner's and stays as it is.
 */

import type { ManifestFile } from "../../proto/gen/ferry/v1/agent.js";
import type { Disk, FaultInfo, Flavor } from "../../proto/gen/ferry/v1/model.js";
import { refusal } from "../claim/refusal.js";
import { activeLayerOf } from "./active-layer.js";

export interface AddedDisk {
  readonly role: "ephemeral" | "swap";
  readonly sizeBytes: number;
}

export interface DiskPlan {
  /** Target device → the size that its guest will see. */
  readonly resized: ReadonlyMap<string, number>;
  readonly added: readonly AddedDisk[];
  /** Target devices of swap disks that the flavor has no place for. */
  readonly dropped: readonly string[];
  readonly refusals: readonly FaultInfo[];
}

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/** A cold migration's: every disk stays as it is. */
export const NO_CHANGE: DiskPlan = { resized: new Map(), added: [], dropped: [], refusals: [] };

export function planDisks(disks: readonly Disk[], files: readonly ManifestFile[], flavor: Flavor): DiskPlan {
  const plans = [planRoot(disks, flavor), planEphemeral(disks, flavor), planSwap(disks, files, flavor)];
  return {
    resized: new Map(plans.flatMap(({ resized = [] }) => resized)),
    added: plans.flatMap(({ added = [] }) => added),
    dropped: plans.flatMap(({ dropped = [] }) => dropped),
    refusals: plans.flatMap(({ refusals = [] }) => refusals),
  };
}

interface PartOfPlan {
  readonly resized?: readonly (readonly [string, number])[];
  readonly added?: readonly AddedDisk[];
  readonly dropped?: readonly string[];
  readonly refusals?: readonly FaultInfo[];
}

const withRole = (disks: readonly Disk[], role: string): Disk[] => disks.filter(disk => disk.role === role);

function planRoot(disks: readonly Disk[], flavor: Flavor): PartOfPlan {
  const [root] = withRole(disks, "root");
  if (root === undefined || root.mode === "volume" || flavor.rootGib === 0) return {};
  return grown(root, flavor.rootGib * GIB);
}

function planEphemeral(disks: readonly Disk[], flavor: Flavor): PartOfPlan {
  const [only, ...more] = withRole(disks, "ephemeral");
  const sizeBytes = flavor.ephemeralGib * GIB;
  if (only === undefined) return sizeBytes === 0 ? {} : { added: [{ role: "ephemeral", sizeBytes }] };
  if (more.length === 0) return grown(only, sizeBytes);
  const haveBytes = [only, ...more].reduce((sum, { virtualSizeBytes }) => sum + virtualSizeBytes, 0);
  if (Math.ceil(haveBytes / GIB) === flavor.ephemeralGib) return {};
  const detail = {
    have: `${more.length + 1} ephemeral disks with ${haveBytes} bytes together`,
    need: `one, or a flavor with ${Math.ceil(haveBytes / GIB)} GiB`,
    fix: "choose a flavor with the same ephemeral size",
  };
  return {
    refusals: [refusal("refused", "which of several ephemeral disks is to be resized is not known", detail)],
  };
}

function grown({ targetDev, role, virtualSizeBytes: haveBytes }: Disk, sizeBytes: number): PartOfPlan {
  if (sizeBytes === haveBytes) return {};
  if (sizeBytes > haveBytes) return { resized: [[targetDev, sizeBytes]] };
  const detail = {
    have: `${role} disk ${targetDev} of ${haveBytes} bytes`,
    need: "a flavor that is at least as large",
    fix: "choose a larger flavor; a disk is never cut",
  };
  return { refusals: [refusal("refused", "Unable to resize disk down.", { ...detail })] };
}

function planSwap(disks: readonly Disk[], files: readonly ManifestFile[], flavor: Flavor): PartOfPlan {
  const swaps = withRole(disks, "swap");
  const [only] = swaps;
  const sizeBytes = flavor.swapMib * MIB;
  if (only === undefined) return sizeBytes === 0 ? {} : { added: [{ role: "swap", sizeBytes }] };
  const haveMib = Math.ceil(swaps.reduce((sum, disk) => sum + disk.virtualSizeBytes, 0) / MIB);
  if (haveMib === flavor.swapMib) return {};
  const used = swaps.find(({ targetDev }) => !isReCreated(targetDev, files));
  if (used !== undefined) return { refusals: [notCleanSwap(used)] };
  if (sizeBytes === 0) return { dropped: swaps.map(({ targetDev }) => targetDev) };
  const [first = only.targetDev, ...others] = swaps.map(({ targetDev }) => targetDev);
  return { resized: [[first, sizeBytes]], dropped: others };
}

const isReCreated = (targetDev: string, files: readonly ManifestFile[]): boolean =>
  files.find(({ id }) => id === activeLayerOf(targetDev))?.mode === "re-created";

/** What is not provably swap is data, and data is neither cut nor dropped (SAFETY R8). */
const notCleanSwap = ({ targetDev }: Disk): FaultInfo =>
  refusal("refused", `swap disk ${targetDev} holds something else than swap`, {
    have: "no clean swap header",
    need: "swap that may be dropped",
    fix: "mkswap it inside the guest, or choose a flavor with the same swap size",
  });
