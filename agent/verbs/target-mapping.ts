/**
 * From where files will lie on the target to the mapping with which the domain is rewritten, and the host paths of
 * that domain which the target would have to have already.
 */

import { dirname } from "node:path";
import type { PlannedFile, SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import { activeLayerOf } from "../disk/active-layer.js";
import { readDomain } from "../domain/domain-xml.js";
import { type HostPath, hostPaths } from "../domain/host-paths.js";
import type { TargetMapping } from "../domain/rewrite-for-target.js";
import type { HardwareToWrite } from "../domain/write-hardware.js";
import type { NetworkNames } from "./target-networks.js";
import type { TargetShape } from "./target-shape.js";
import type { World } from "./verb.js";

/** Paths other than disks keep their names; whether they exist on the target is asked of the rewritten domain. */
export function targetMapping(
  manifest: SourceManifest,
  { files, disks, sizes }: Pick<TargetShape, "files" | "disks" | "sizes">,
  networks: NetworkNames,
  hardware: HardwareToWrite | undefined,
): TargetMapping {
  const { root } = readDomain(manifest.domainXml);
  const planned = new Map(files.map(file => [file.id, file.path]));
  const moved = manifest.files.map(file => [file.path, planned.get(file.id) ?? file.path] as const);
  const same = hostPaths(root)
    .filter(({ class: kind }) => kind !== "unknown" && kind !== "share")
    .map(({ path }) => [path, path] as const);
  const nvramPath = planned.get("nvram");
  return {
    disks: new Map(disks.map(({ targetDev, path }) => [targetDev, path])),
    paths: new Map([...same, ...moved]),
    formats: new Map(
      files.flatMap(({ id, convertTo }) =>
        convertTo === undefined ? [] : [[id.split("/")[0] ?? "", convertTo]],
      ),
    ),
    becomeFiles: new Set(devicesAmong(manifest)),
    listenAddresses: new Map(),
    emulator: manifest.emulator,
    ...(nvramPath === undefined ? {} : { nvramPath }),
    ...(sizes === undefined ? {} : { sizes }),
    ...(hardware === undefined ? {} : { hardware }),
    ...networks,
  };
}

/** Target devices of those disks that lie on a block device at the source and were made files of the manifest. */
const devicesAmong = ({ domainXml, files }: SourceManifest): string[] =>
  readDomain(domainXml)
    .disks.filter(
      ({ type, targetDev }) => type === "block" && files.some(({ id }) => id === activeLayerOf(targetDev)),
    )
    .map(({ targetDev }) => targetDev);

/** Kernels, loaders, folders for logs and sockets that the domain names and this host lacks. */
export async function missingHostPaths(
  domainXml: string,
  files: readonly PlannedFile[],
  world: World,
): Promise<string[]> {
  const arriving = new Set(files.map(({ path }) => path));
  const asked = hostPaths(readDomain(domainXml).root).filter(({ path }) => !arriving.has(path));
  const missing = asked.map(async path => {
    const needed = neededPath(path);
    if (needed === undefined || arrivesWithFiles(needed, files) || (await world.exists(needed))) return [];
    return [needed];
  });
  return [...new Set((await Promise.all(missing)).flat())];
}

/** What must exist before a start: the file itself, or the folder in which QEMU or libvirt will make it. */
function neededPath({ class: kind, path }: HostPath): string | undefined {
  switch (kind) {
    case "kernel":
    case "loader":
    case "disk":
    case "device":
      return path;
    case "serial-file":
      return dirname(path);
    default:
      // Emulator and networks have checks of their own; NVRAM and sockets are made by libvirt.
      return undefined;
  }
}

/** The folder of a disk is made when the disk arrives. */
const arrivesWithFiles = (folder: string, files: readonly PlannedFile[]): boolean =>
  files.some(({ path }) => dirname(path) === folder);
