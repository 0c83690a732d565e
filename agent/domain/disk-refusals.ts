/**
 * Why a disk of a domain cannot be moved: where it lies, how it is declared and who else uses it.
 *
 * A file must lie in a pool and say its format; a block device must be declared raw; a volume must be one that any host
 * reaches alike. Pure, like all of `unmanageable.ts`.
 */

import { whyBound } from "../volume/volumes.js";
import type { DomainDisk } from "./domain-disk.js";
import { type Refusal, refusal } from "./refusal.js";

export interface DiskRules {
  /** Directories of the configured pools: disks live beneath them. */
  readonly imageDirectories: readonly string[];
  /** `carry` moves CD-ROM media and read-only drives like data; an empty tray never blocks. */
  readonly readOnlyDrives: "refuse" | "carry";
}

export function diskRefusals(disk: DomainDisk, rules: DiskRules): Refusal[] {
  if (!disk.hasSource) return [];
  const what = `${disk.device} ${disk.targetDev}`;
  if (disk.type === "network" && disk.device === "disk") return volumeRefusals(disk, what, rules);
  const isOnDevice = disk.type === "block" && disk.device === "disk";
  if ((disk.type !== "file" && !isOnDevice) || disk.device === "lun") {
    const message = `${what} has a source of type ${disk.type}`;
    return [refusal("disk-source", message, disk.type, "a file", "copy it to a file in a pool")];
  }
  const found = usageRefusals(disk, what);
  if (isOnDevice && disk.format !== "raw") {
    const have = `format ${disk.format ?? "undeclared"}`;
    const message = `${what} lies on a block device and is not declared raw`;
    found.push(refusal("disk-source", message, have, "raw", "copy it to a file in a pool"));
  }
  if (disk.encrypted) {
    const message = `${what} is encrypted with a secret of this host`;
    found.push(refusal("encrypted-disk", message, "encryption", "no secret of libvirt", "decrypt it"));
  }
  if (disk.format === undefined) {
    const fix = `write its format into the definition: <driver name='qemu' type='qcow2'/> or type='raw'`;
    const message = `the format of ${what} is not declared`;
    found.push(refusal("implicit-format", message, "no driver type", "raw or qcow2", fix));
  }
  const ofPlace = isOnDevice ? [] : placeRefusals(disk, what, rules);
  return [...found, ...mediaRefusals(disk, what, rules), ...ofPlace];
}

function volumeRefusals(disk: DomainDisk, what: string, rules: DiskRules): Refusal[] {
  const bound = whyBound(disk);
  const found = [...usageRefusals(disk, what), ...mediaRefusals(disk, what, rules)];
  if (bound === undefined) return found;
  const message = `the volume ${disk.targetDev} ${bound}`;
  const fix = "attach it so that every host reaches it alike, or copy it to a file in a pool";
  return [refusal("disk-source", message, bound, "a volume that any host can reach", fix), ...found];
}

function usageRefusals(disk: DomainDisk, what: string): Refusal[] {
  const found: Refusal[] = [];
  if (disk.shareable) {
    found.push(
      refusal("shared-disk", `${what} is shareable`, "shareable", "a disk of one guest", "remove it"),
    );
  }
  if (disk.transient) {
    found.push(refusal("transient-disk", `${what} is transient`, "transient", "a lasting disk", "remove it"));
  }
  return found;
}

function mediaRefusals(disk: DomainDisk, what: string, rules: DiskRules): Refusal[] {
  const isReadOnly = disk.device === "cdrom" || disk.readonly;
  if (!isReadOnly || rules.readOnlyDrives === "carry") return [];
  const fix = `eject it (virsh change-media … ${disk.targetDev} --eject), or allow read_only_drives: carry`;
  const message = `${what} holds read-only media`;
  return [refusal("read-only-media", message, disk.sourcePath ?? "media", "an empty drive", fix)];
}

function placeRefusals(disk: DomainDisk, what: string, { imageDirectories }: DiskRules): Refusal[] {
  const path = disk.sourcePath ?? "";
  if (isBeneath(path, imageDirectories)) return [];
  const need = `a path beneath ${imageDirectories.join(", ")}`;
  const message = `${what} is outside the configured pools`;
  return [refusal("outside-pools", message, path, need, "move it, or add its directory as a pool")];
}

const isBeneath = (path: string, directories: readonly string[]): boolean =>
  !path.split("/").includes("..") &&
  directories.some(directory => path.startsWith(`${directory.replace(/\/+$/, "")}/`));
