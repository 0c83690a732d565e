/**
 * The logs that QEMU writes for an incarnation beside its disks. They belong to it (SAFETY R5): set aside with it and
 * removed with it, never sent. Logs elsewhere are the operator's and are left alone.
 */

import { isBeneath } from "../claim/place-files.js";
import { readDomain } from "../domain/domain-xml.js";
import type { IncarnationFile } from "../fence/fence-record.js";
import type { World } from "./verb.js";

export async function logFiles(domainXml: string, world: World): Promise<IncarnationFile[]> {
  const paths = new Set(readDomain(domainXml).characterFiles);
  const beside = [...paths].filter(path => world.config.image_dirs.some(folder => isBeneath(path, folder)));
  const present = await Promise.all(beside.map(path => world.exists(path)));
  return beside
    .filter((_, index) => present[index])
    .map((path, index) => ({ id: `log/${index}`, path, mode: "copied" as const }));
}
