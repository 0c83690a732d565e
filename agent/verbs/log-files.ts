/**
 * The logs that QEMU writes for an incarnation beside its disks. They belong to it (SAFETY R5): set aside with it and
 * removed with it, never sent. Logs elsewhere are the operator's and are left alone.
 */

import { lstat } from "node:fs/promises";
import { isBeneath } from "../claim/place-files.js";
import { readDomain } from "../domain/domain-xml.js";
import type { IncarnationFile } from "../fence/fence-record.js";
import type { World } from "./verb.js";

export async function logFiles(domainXml: string, world: World): Promise<IncarnationFile[]> {
  const beside = logPaths(domainXml, world);
  const present = await Promise.all(beside.map(isRegularFile));
  return beside
    .filter((_, index) => present[index])
    .map((path, index) => ({ id: `log/${index}`, path, mode: "copied" as const }));
}

/** Where QEMU writes them, whether or not they are there. */
export function logPaths(domainXml: string, { config }: World): string[] {
  const paths = new Set(readDomain(domainXml).characterFiles);
  return [...paths].filter(path => config.image_dirs.some(folder => isBeneath(path, folder)));
}

/** A link or a device under the name of a log is somebody's arrangement, not a log. */
const isRegularFile = (path: string): Promise<boolean> =>
  lstat(path).then(
    stats => stats.isFile(),
    () => false,
  );
