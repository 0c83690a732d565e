/**
 * What each disk of a domain is for: root, ephemeral, swap, volume, config drive, other media, or an empty drive.
 *
 * A role that was declared (by Ferry's record, or by the operator at adopt) stands. Otherwise it is derived, with the
 * reason in words. Swap is never derived: a swap signature is a suggestion that the operator confirms (SAFETY R8),
 * and until then the disk is data.
 */

import { Fault } from "../../proto/fault.js";
import type { DomainDisk } from "../domain/domain-disk.js";
import type { Domain } from "../domain/domain-xml.js";
import type { Files } from "../os/files.js";
import type { RunTool } from "../os/tool.js";
import { reachVolume, type Volume } from "../volume/volumes.js";
import type { BlockDevice } from "./block-device.js";
import type { BlockDevices } from "./block-devices.js";
import {
  CONFIG_DRIVE_PROBE_BYTES,
  type ConfigDriveKind,
  configDriveKind,
  isIso9660,
} from "./config-drive.js";
import { type ImagePlaces, openImageFile } from "./image-file.js";
import { type ImageFormat, type ImageLayer, imageFormat, walkImageChain } from "./image-rules.js";
import { readSwapHeader, type SwapSpace } from "./swap.js";

export type DiskRole = "root" | "ephemeral" | "swap" | "volume" | "config-drive" | "media" | "empty";

/** What the content of a disk shows. */
export interface DiskSigns {
  readonly swap: SwapSpace | undefined;
  readonly configDrive: ConfigDriveKind | undefined;
  readonly isIso9660: boolean;
}

export interface ProbedDisk {
  readonly disk: DomainDisk;
  /** Empty for an empty drive. */
  readonly chain: readonly ImageLayer[];
  readonly signs: DiskSigns;
  /** Of a disk that is reached over a network, which has no chain. */
  readonly volume?: Volume;
  /** Of a disk that lies on a block device, which has no chain either: it is never read as an image. */
  readonly blockDevice?: BlockDevice;
}

export interface LaidOutDisk {
  readonly role: DiskRole;
  readonly reason: string;
  /** Set where the content suggests a role that only the operator can give. */
  readonly suggestion: "swap" | undefined;
  readonly targetDev: string;
  /** Undefined for an empty drive, as is the format. */
  readonly path: string | undefined;
  readonly format: ImageFormat | undefined;
  readonly virtualSizeBytes: number;
  /** Of the active layer. */
  readonly allocatedBytes: number;
  /** Active layer first. */
  readonly chain: readonly ImageLayer[];
  readonly swap: SwapSpace | undefined;
  readonly volume: Volume | undefined;
  readonly blockDevice: BlockDevice | undefined;
}

/** Target device → role. */
export type DeclaredRoles = ReadonlyMap<string, DiskRole>;

interface ProbeEdges {
  readonly files: Files;
  readonly places: ImagePlaces;
  readonly blockDevices: Pick<BlockDevices, "read">;
  readonly runTool: RunTool;
}

/** Looks at every disk of a domain; image rules apply (SAFETY R19). */
export async function probeDisks(edges: ProbeEdges, domain: Domain): Promise<ProbedDisk[]> {
  const probed: ProbedDisk[] = [];
  for (const disk of domain.disks) {
    try {
      probed.push(await probeDisk(edges, disk));
    } catch (error) {
      throw error instanceof Fault ? error.during(`disk ${disk.targetDev}`) : error;
    }
  }
  return probed;
}

const NO_SIGNS: DiskSigns = { swap: undefined, configDrive: undefined, isIso9660: false };

async function probeDisk(edges: ProbeEdges, disk: DomainDisk): Promise<ProbedDisk> {
  const { files, places } = edges;
  if (disk.network !== undefined)
    return { disk, chain: [], signs: NO_SIGNS, volume: await reachVolume(disk, edges) };
  if (!disk.hasSource) return { disk, chain: [], signs: NO_SIGNS };
  if (disk.sourcePath === undefined || disk.format === undefined) {
    const have = disk.sourcePath === undefined ? `a source of type ${disk.type}` : "no declared format";
    throw new Fault("refused", "it is no file or block device with a declared format", { have });
  }
  if (disk.type === "block")
    return { disk, chain: [], signs: NO_SIGNS, blockDevice: await edges.blockDevices.read(disk.sourcePath) };
  const format = imageFormat(disk.format);
  const chain = await walkImageChain(files, places, { path: disk.sourcePath, format });
  // Content can be read directly in a raw image only; in a qcow2 the guest's bytes are elsewhere.
  const signs = format === "raw" ? await readSigns(files, places, disk.sourcePath) : NO_SIGNS;
  return { disk, chain, signs };
}

async function readSigns(files: Files, places: ImagePlaces, path: string): Promise<DiskSigns> {
  await using image = await openImageFile(files, places, path);
  const head = await image.read(0, CONFIG_DRIVE_PROBE_BYTES);
  return { swap: readSwapHeader(head), configDrive: configDriveKind(head), isIso9660: isIso9660(head) };
}

/** Gives each probed disk its role. Fault("refused") without exactly one root, or for a declaration of no disk. */
export function layOutDisks(probed: readonly ProbedDisk[], declared: DeclaredRoles): LaidOutDisk[] {
  refuseUnknownDeclarations(probed, declared);
  const root = rootOf(probed, declared);
  return probed.map(one => {
    const { role, reason } = roleOf(one, root, declared);
    const [active] = one.chain;
    return {
      role,
      reason,
      suggestion: one.signs.swap && role !== "swap" ? "swap" : undefined,
      targetDev: one.disk.targetDev,
      path: active?.path ?? one.volume?.uri ?? one.blockDevice?.path,
      format: active?.format ?? (isElsewhere(one) ? "raw" : undefined),
      virtualSizeBytes: active?.virtualSizeBytes ?? one.volume?.sizeBytes ?? one.blockDevice?.sizeBytes ?? 0,
      allocatedBytes: active?.facts.allocatedBytes ?? 0,
      chain: one.chain,
      swap: one.signs.swap,
      volume: one.volume,
      blockDevice: one.blockDevice,
    };
  });
}

/** No file of this host: the disk stays where it is when its server moves. */
const isElsewhere = ({ volume, blockDevice }: ProbedDisk): boolean =>
  volume !== undefined || blockDevice !== undefined;

function refuseUnknownDeclarations(probed: readonly ProbedDisk[], declared: DeclaredRoles): void {
  const devices = probed.map(({ disk }) => disk.targetDev);
  const unknown = [...declared.keys()].find(device => !devices.includes(device));
  if (unknown === undefined) return;
  throw new Fault("refused", `there is no disk ${unknown}`, {
    have: devices.join(", "),
    need: "a disk of this domain",
    fix: "name one that it has",
  });
}

function rootOf(probed: readonly ProbedDisk[], declared: DeclaredRoles): ProbedDisk {
  const named = probed.filter(({ disk }) => declared.get(disk.targetDev) === "root");
  if (named.length > 1) throw new Fault("refused", "more than one disk is declared root");
  const candidates = probed.filter(one => isData(one) && !declared.has(one.disk.targetDev));
  const bySerial = candidates.find(({ disk }) => disk.serial === "root");
  const byBootOrder = candidates
    .filter(({ disk }) => disk.bootOrder !== undefined)
    .sort((one, other) => (one.disk.bootOrder ?? 0) - (other.disk.bootOrder ?? 0))[0];
  const root = named[0] ?? bySerial ?? byBootOrder ?? candidates[0];
  if (!root) {
    throw new Fault("refused", "the domain has no disk that could be its root", {
      have: "no writable disk",
      need: "a root disk",
      fix: "declare which disk is the root",
    });
  }
  return root;
}

/** A disk with content of the guest's own, rather than a drive for media or metadata. */
const isData = (one: ProbedDisk): boolean =>
  one.disk.device === "disk" &&
  (one.chain.length > 0 || isElsewhere(one)) &&
  one.signs.configDrive === undefined;

interface RoleWithReason {
  readonly role: DiskRole;
  readonly reason: string;
}

function roleOf(probed: ProbedDisk, root: ProbedDisk, declared: DeclaredRoles): RoleWithReason {
  const { disk, chain, signs } = probed;
  const role = declared.get(disk.targetDev);
  if (isElsewhere(probed)) return roleOfVolume(probed, root, role);
  if (chain.length === 0) return { role: "empty", reason: "the drive holds no media" };
  if (role !== undefined) return { role, reason: "declared" };
  if (signs.configDrive) {
    return { role: "config-drive", reason: `${signs.configDrive} file system labelled config-2` };
  }
  if (disk.device !== "disk") return { role: "media", reason: `media in a ${disk.device} drive` };
  if (probed === root) return { role: "root", reason: reasonOfRoot(disk) };
  if (signs.swap) {
    return { role: "ephemeral", reason: "looks like swap, which only the operator can declare" };
  }
  return { role: "ephemeral", reason: "a further disk" };
}

/** Its content is its owner's: it is neither dropped as swap nor changed with the flavor. */
function roleOfVolume(probed: ProbedDisk, root: ProbedDisk, declared: DiskRole | undefined): RoleWithReason {
  const { disk, blockDevice } = probed;
  const what = blockDevice === undefined ? "a volume" : "a block device";
  if (declared === "swap" || declared === "ephemeral") {
    throw new Fault("refused", `disk ${disk.targetDev} is ${what} and cannot be declared ${declared}`, {
      fix: `leave it undeclared: ${what} stays where it is`,
    });
  }
  if (probed === root) return { role: "root", reason: reasonOfRoot(disk) };
  return { role: "volume", reason: blockDevice === undefined ? "reached over a network" : what };
}

function reasonOfRoot({ serial, bootOrder }: DomainDisk): string {
  if (serial === "root") return "its serial is root";
  return bootOrder === undefined ? "the first disk" : "first in the boot order";
}
