/**
 * Where a migration was asked to copy disks on block devices: those that this target has as well stay where they are, the others
 * become files here, and are files in its manifest from then on. No mistake about a device can write to one: that of the source
 * is only read, and the target writes to a file that it has made.
 *
 *   /dev/vg/web-3 on the source   →   <first image folder>/web-3/disk.vdb, raw
 */

import { asFault } from "../../proto/fault.js";
import type {
  DiskDevice,
  ManifestFile,
  PrepareTarget,
  SourceManifest,
} from "../../proto/gen/ferry/v1/agent.js";
import type { Disk } from "../../proto/gen/ferry/v1/model.js";
import { activeLayerOf } from "../disk/active-layer.js";
import { readDomain } from "../domain/domain-xml.js";
import { blockDisksOf } from "../survey-domain.js";
import { isSameHost } from "./same-host.js";
import { isSameDisk } from "./target-block-devices.js";
import type { World } from "./verb.js";

type Asked = Pick<PrepareTarget, "sourceHost" | "blockDisks">;

export async function withDevicesAsFiles(
  manifest: SourceManifest,
  { sourceHost, blockDisks }: Asked,
  world: World,
): Promise<SourceManifest> {
  if (blockDisksOf(blockDisks) === "refuse" || isSameHost(sourceHost, world)) return manifest;
  const isHere = await Promise.all(manifest.blockDevices.map(device => isProvenHere(device, world)));
  const kept = manifest.blockDevices.filter((_, at) => isHere[at]);
  const copied = manifest.blockDevices.filter(device => !kept.includes(device));
  if (copied.length === 0) return manifest;
  const { name } = readDomain(manifest.domainXml);
  return {
    ...manifest,
    blockDevices: kept,
    files: [...manifest.files, ...copied.map(device => fileOf(device, name))],
    disks: manifest.disks.map(disk => diskOf(disk, copied)),
  };
}

async function isProvenHere(device: DiskDevice, { blockDevices }: World): Promise<boolean> {
  const { targetDev, path } = device;
  try {
    return isSameDisk(device, { targetDev, ...(await blockDevices.read(path)) });
  } catch (thrown) {
    const fault = asFault(thrown);
    if (fault.code === "internal") throw fault;
    return false;
  }
}

/** Nothing says where a device holds no data, so that all of it may have to be written. */
const fileOf = ({ targetDev, path, sizeBytes }: DiskDevice, name: string): ManifestFile => ({
  id: activeLayerOf(targetDev),
  path,
  sizeBytes,
  dataBytes: sizeBytes,
  mode: "copied",
  permissions: 0o600,
  relativePath: `${name}/disk.${targetDev}`,
  kind: "disk",
  digest: "",
  swap: undefined,
  identity: "",
  madeByFerry: false,
});

function diskOf(disk: Disk, copied: readonly DiskDevice[]): Disk {
  const device = copied.find(({ targetDev }) => targetDev === disk.targetDev);
  return device === undefined ? disk : { ...disk, mode: "copied", reason: `a copy of ${device.path}` };
}
