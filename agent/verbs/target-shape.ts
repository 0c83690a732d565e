/**
 * What a migration makes of a server on its target: the files that arrive or are made, the disks, and for a resize the
 * sizes of the machine. Pure; without a flavor everything keeps the size that it has.
 */

import { speaksOfHardware } from "../../proto/fit/read-guest-hardware.js";
import type { ManifestFile, PlannedFile, SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { Disk, FaultInfo, Flavor } from "../../proto/gen/ferry/v1/model.js";
import type { Placement } from "../claim/place-files.js";
import { refusal } from "../claim/refusal.js";
import { activeLayerOf } from "../disk/active-layer.js";
import { ephemeralLabel } from "../disk/ephemeral.js";
import type { ImageFormat } from "../disk/image-rules.js";
import { type AddedDisk, type DiskPlan, NO_CHANGE, planDisks } from "../disk/resize-plan.js";
import { readDomain } from "../domain/domain-xml.js";
import { type DomainSizes, freeTargetDevs, whyNotResizable } from "../domain/resize-domain.js";

export interface TargetShape {
  readonly files: readonly PlannedFile[];
  readonly disks: readonly Disk[];
  /** Absent unless the server is resized. */
  readonly sizes: DomainSizes | undefined;
  readonly memoryMib: number;
  readonly vcpus: number;
  readonly refusals: readonly FaultInfo[];
}

/** A disk that the flavor adds: where it will lie and what the domain calls it. */
interface NewDisk extends AddedDisk {
  readonly targetDev: string;
  readonly path: string;
}

const NEW_FILE_MODE = 0o600;

export function shapeForTarget(
  manifest: SourceManifest,
  placement: Placement,
  flavor: Flavor | undefined,
  extraSpecs: Readonly<Record<string, string>>,
  convertTo?: ImageFormat,
): TargetShape {
  const { files, disks, memoryMib, vcpus } = manifest;
  const plan = flavor === undefined ? NO_CHANGE : planDisks(disks, files, flavor);
  const added = newDisks(manifest, placement, plan);
  const kept = disks.filter(({ targetDev }) => !plan.dropped.includes(targetDev));
  const shape = {
    files: [
      ...placement.files.filter(({ id }) => !plan.dropped.includes(deviceOf(id))),
      ...added.map(plannedDisk),
    ].map(file => resizedFile(file, kept, plan)),
    disks: [...kept.map(disk => diskOnTarget(disk, files, placement, plan)), ...added.map(diskOf)],
  };
  if (flavor === undefined)
    return { ...converted(shape, convertTo), sizes: undefined, memoryMib, vcpus, refusals: [] };
  const sizes: DomainSizes = {
    vcpus: flavor.vcpus,
    memoryMib: flavor.ramMib,
    addedDisks: added.map(({ targetDev, path, role }) => ({ targetDev, path, serial: serialOf(role) })),
    droppedDisks: plan.dropped,
  };
  const hardwareIsTold = speaksOfHardware(extraSpecs, flavor.extraSpecs);
  const refusals = [
    ...plan.refusals,
    ...sharedRefusals(shape.disks, plan),
    ...domainRefusals(manifest, sizes, hardwareIsTold),
  ];
  return { ...shape, sizes, memoryMib: flavor.ramMib, vcpus: flavor.vcpus, refusals };
}

const deviceOf = (fileId: string): string => fileId.split("/")[0] ?? "";
const serialOf = (role: AddedDisk["role"]): string => (role === "swap" ? "swap" : ephemeralLabel(0));

/** It is the source's disk as much as the target's: after a revert it would not be what it was (SAFETY R1). */
const sharedRefusals = (disks: readonly Disk[], { resized }: DiskPlan): FaultInfo[] =>
  disks
    .filter(({ mode, targetDev }) => mode === "shared" && resized.has(targetDev))
    .map(({ role, path, targetDev }) =>
      refusal(
        "refused",
        `the ${role} disk ${path} lies on storage that both hosts have and would change its size`,
        {
          have: "a shared disk, which a migration never changes",
          need: `${resized.get(targetDev)} bytes`,
          fix: path.startsWith("/dev/")
            ? "choose a flavor with the same disks, and grow a block device where it is made"
            : "choose a flavor with the same disks, or let the resize stay on its host (allow_resize_to_same_host)",
        },
      ),
    );

function domainRefusals(
  { domainXml }: SourceManifest,
  sizes: DomainSizes,
  hardwareIsTold: boolean,
): FaultInfo[] {
  const { root, vcpus, memoryKib } = readDomain(domainXml);
  return whyNotResizable(root, { vcpus, memoryKib }, { ...sizes, hardwareIsTold }).map(({ message, fix }) =>
    refusal("refused", message, { fix }),
  );
}

/** Beside the root disk: `disk.eph0` and `disk.swap` for one that is called `disk`. */
function newDisks({ domainXml, disks }: SourceManifest, placement: Placement, plan: DiskPlan): NewDisk[] {
  if (plan.added.length === 0) return [];
  const root = disks.find(({ role }) => role === "root");
  const rootId = activeLayerOf(root?.targetDev ?? "");
  const rootPath = placement.files.find(({ id }) => id === rootId)?.path ?? root?.path ?? "";
  const devices = freeTargetDevs(readDomain(domainXml).root, plan.added.length);
  return plan.added.map((disk, index) => ({
    ...disk,
    targetDev: devices[index] ?? "",
    path: `${rootPath}.${disk.role === "swap" ? "swap" : "eph0"}`,
  }));
}

const plannedDisk = ({ targetDev, path, role, sizeBytes }: NewDisk): PlannedFile => ({
  id: activeLayerOf(targetDev),
  path,
  sizeBytes,
  permissions: NEW_FILE_MODE,
  mode: "added",
  newSizeBytes: sizeBytes,
  format: "raw",
  role,
});

function resizedFile(file: PlannedFile, disks: readonly Disk[], plan: DiskPlan): PlannedFile {
  const disk = disks.find(({ targetDev }) => file.id === activeLayerOf(targetDev));
  const newSizeBytes = disk && plan.resized.get(disk.targetDev);
  if (disk === undefined || newSizeBytes === undefined) return file;
  return { ...file, newSizeBytes, format: disk.format, role: disk.role };
}

/** Disks of the guest's own that are copied become one file of that format; what is one already stays what it is. */
function converted(
  { files, disks }: Pick<TargetShape, "files" | "disks">,
  convertTo: ImageFormat | undefined,
): Pick<TargetShape, "files" | "disks"> {
  if (convertTo === undefined) return { files, disks };
  const isCopied = ({ targetDev }: Disk) =>
    files.some(({ id, mode }) => id === activeLayerOf(targetDev) && mode === "copied");
  const isConverted = (disk: Disk) =>
    (disk.role === "root" || disk.role === "ephemeral" || disk.role === "volume") &&
    (disk.format !== convertTo || disk.backing.length > 0) &&
    isCopied(disk);
  return {
    files: files.map(file => {
      const disk = disks.find(({ targetDev }) => file.id === activeLayerOf(targetDev));
      if (disk === undefined || !isConverted(disk)) return file;
      return { ...file, format: disk.format, role: disk.role, convertTo };
    }),
    disks: disks.map(disk => (isConverted(disk) ? { ...disk, format: convertTo, backing: [] } : disk)),
  };
}

function diskOnTarget(
  disk: Disk,
  files: readonly ManifestFile[],
  placement: Placement,
  plan: DiskPlan,
): Disk {
  const at = (path: string) => {
    const file = files.find(candidate => candidate.path === path);
    return placement.files.find(({ id }) => id === file?.id)?.path ?? path;
  };
  const active = placement.files.find(({ id }) => id === activeLayerOf(disk.targetDev));
  return {
    ...disk,
    mode: active?.mode === "shared" ? "shared" : disk.mode,
    path: at(disk.path),
    virtualSizeBytes: plan.resized.get(disk.targetDev) ?? disk.virtualSizeBytes,
    backing: disk.backing.map(file => ({ ...file, path: at(file.path) })),
  };
}

const diskOf = ({ targetDev, path, role, sizeBytes }: NewDisk): Disk => ({
  targetDev,
  role,
  path,
  format: "raw",
  virtualSizeBytes: sizeBytes,
  allocatedBytes: 0,
  backing: [],
  mode: role === "swap" ? "re-created" : "copied",
  reason: "made by Ferry",
  readOnly: false,
});
