/**
 * What a block device is, in names that another host can compare (SAFETY R1): read from sysfs alone, nothing is opened.
 *
 *   SCSI, iSCSI, FC   device/wwid: VPD page 0x83, where it is a name that IEEE gives out (NAA 2, 5, 6, EUI-64)
 *   NVMe              wwid: UUID, NGUID or EUI-64 of the namespace
 *   multipath         what all its paths say, as with one of them alone
 *   LVM               volume group and volume, and on which of the devices above; an identifier of LVM alone is copied with
 *                     its disk. Linear and striped volumes only: a thin pool active on two hosts destroys itself
 *
 * Anything else has no world-wide name: a serial number, a name of the T10 kind or one that was assigned locally (NAA 3) is
 * the same on many machines. What is left for it is to be the same device of the same kernel, or to be known again by its own
 * host, for which such names will do.
 */

import type { Tree } from "../probe/tree.js";

export interface BlockDevice {
  readonly path: string;
  readonly sizeBytes: number;
  /** Empty: it has none, and `lacking` says why. */
  readonly worldWideId: string;
  readonly lacking: string;
  /** Boot id, device number and the sequence number that tells one loop device from the next of that number. */
  readonly kernelId: string;
  /** By which its own host knows it again after a reboot; proves nothing to another host. Empty: by nothing. */
  readonly hostId: string;
}

export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

type Named = { readonly id: string } | { readonly lacking: string };

/** Undefined: the kernel does not say how large it is. */
export async function describeBlockDevice(
  path: string,
  { major, minor }: DeviceNumber,
  bootId: string,
  sys: Tree,
): Promise<BlockDevice | undefined> {
  const at = `dev/block/${major}:${minor}`;
  const sectors = await sys.value(`${at}/size`, wholeNumber);
  if (sectors === undefined || sectors === 0) return undefined;
  const named = await nameOf(at, sys);
  const sequence = (await sys.optionalText(`${at}/diskseq`)) ?? "";
  return {
    path,
    sizeBytes: sectors * SECTOR_BYTES,
    worldWideId: "id" in named ? named.id : "",
    lacking: "lacking" in named ? named.lacking : "",
    // Without a sequence number the device number may have passed to another device since.
    kernelId: sequence === "" || bootId === "" ? "" : `${bootId}/${major}:${minor}/${sequence}`,
    hostId: await hostIdOf(at, sys),
  };
}

/** By which it is found again on its own host; empty: by nothing. */
export const identityOf = ({
  worldWideId,
  kernelId,
}: Pick<BlockDevice, "worldWideId" | "kernelId">): string => worldWideId || kernelId;

/** The same after a reboot of its host; empty: there is nothing of the kind. */
export const lastingIdentityOf = ({
  worldWideId,
  hostId,
}: Pick<BlockDevice, "worldWideId" | "hostId">): string => worldWideId || hostId;

/** Positive proof that two descriptions are of one device; whatever is missing proves nothing. */
export function isProvenSame(
  one: Pick<BlockDevice, "worldWideId" | "kernelId">,
  other: Pick<BlockDevice, "worldWideId" | "kernelId">,
): boolean {
  if (one.worldWideId !== other.worldWideId) return false;
  return one.worldWideId !== "" || (one.kernelId !== "" && one.kernelId === other.kernelId);
}

/**
 * How many sectors were written to it, or discarded, since it came up: a flush is counted as a write, but of none. Undefined: the
 * kernel does not count (`queue/iostats`).
 */
export async function writtenSectors({ major, minor }: DeviceNumber, sys: Tree): Promise<number | undefined> {
  const at = `dev/block/${major}:${minor}`;
  if ((await sys.optionalText(`${at}/queue/iostats`)) === "0") return undefined;
  return sys.value(`${at}/stat`, text => {
    const counts = text.split(/\s+/).map(Number);
    const [written = Number.NaN, discarded = 0] = [counts[WRITTEN_AT], counts[DISCARDED_AT]];
    return Number.isNaN(written + discarded) ? undefined : written + discarded;
  });
}

/** Of kernels and sysfs everywhere. */
const SECTOR_BYTES = 512;
const [WRITTEN_AT, DISCARDED_AT] = [6, 13];

/** Names that differ between the devices of one host: what their makers, device mapper, md, a hypervisor or losetup gave them. */
const HOST_NAMES = [
  ["dm/uuid", "dm"],
  ["wwid", "name"],
  ["device/wwid", "name"],
  ["md/uuid", "md"],
  ["serial", "serial"],
  ["loop/backing_file", "loop"],
] as const;

async function hostIdOf(at: string, sys: Tree): Promise<string> {
  for (const [attribute, kind] of HOST_NAMES) {
    const word = (await sys.optionalText(`${at}/${attribute}`)) ?? "";
    if (word !== "") return `${kind} ${word}`;
  }
  return "";
}

const wholeNumber = (text: string): number | undefined =>
  /^\d{1,13}$/.test(text) ? Number(text) : undefined;

async function nameOf(at: string, sys: Tree): Promise<Named> {
  if ((await sys.optionalText(`${at}/partition`)) !== undefined) return { lacking: "it is a partition" };
  const mapped = await sys.optionalText(`${at}/dm/uuid`);
  if (mapped !== undefined) return mappedName(at, mapped, sys);
  const namespace = await sys.optionalText(`${at}/wwid`);
  const unit = await sys.optionalText(`${at}/device/wwid`);
  const word = (namespace ?? unit ?? "").toLowerCase();
  if (isWorldWide(word)) return { id: word };
  if (word !== "") return { lacking: `its name ${word} is not given out world-wide` };
  if ((await sys.optionalNames(`${at}/loop`)).length > 0) return { lacking: "it is a loop device" };
  return { lacking: "it has no world-wide name" };
}

async function mappedName(at: string, mapped: string, sys: Tree): Promise<Named> {
  const volume = /^LVM-([0-9A-Za-z]{64})$/.exec(mapped)?.[1];
  if (volume === undefined && !mapped.startsWith("mpath-")) return { lacking: `it is mapped as ${mapped}` };
  const below = await Promise.all(
    (await sys.optionalNames(`${at}/slaves`)).map(name => nameBelow(`${at}/slaves/${name}`, sys)),
  );
  const nameless = below.find(named => "lacking" in named);
  if (nameless !== undefined && "lacking" in nameless)
    return { lacking: `of what it lies on, ${nameless.lacking}` };
  const names = [...new Set(below.flatMap(named => ("id" in named ? [named.id] : [])))].toSorted();
  const [first, ...others] = names;
  if (first === undefined) return { lacking: "what it lies on is not known" };
  if (volume !== undefined) return { id: `lvm.${volume}@${names.join("+")}` };
  return others.length === 0 ? { id: first } : { lacking: `its paths lead to ${names.length} devices` };
}

/** A volume on a volume is a thin, cached or mirrored one, or a snapshot: not the same on two hosts at a time. */
async function nameBelow(at: string, sys: Tree): Promise<Named> {
  const mapped = await sys.optionalText(`${at}/dm/uuid`);
  if (mapped?.startsWith("LVM-")) return { lacking: "one is a logical volume itself" };
  return nameOf(at, sys);
}

const isWorldWide = (word: string): boolean => WORLD_WIDE.test(word) && !NOTHING.test(word);

const WORLD_WIDE =
  /^(naa\.[25][0-9a-f]{15}|naa\.6[0-9a-f]{31}|eui\.([0-9a-f]{16}|[0-9a-f]{24}|[0-9a-f]{32})|uuid\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** Zeros all through, as firmware leaves what it was never told. */
const NOTHING = /^(naa\.\d|eui\.|uuid\.)[0-]+$/;
