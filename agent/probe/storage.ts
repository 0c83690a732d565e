/** Where disks can be put: libvirt's storage pools and the agent's image directories, with the room below them. */

import type { FileSystemSpace, HostStoragePool, ImageDirectory } from "../../proto/gen/ferry/v1/host.js";
import type { StoragePool } from "../os/hypervisor.js";

/** Pool types whose path is a mounted directory; another's path is a device or nothing. */
const DIRECTORY_POOLS = new Set(["dir", "fs", "netfs", "vstorage"]);

export type MeasureSpace = (path: string) => Promise<FileSystemSpace | undefined>;

export function readStoragePools(
  pools: readonly StoragePool[],
  measure: MeasureSpace,
): Promise<HostStoragePool[]> {
  const describe = async (pool: StoragePool): Promise<HostStoragePool> => ({
    name: pool.name,
    type: pool.type,
    path: pool.path,
    active: pool.active,
    // libvirt knows no sizes of a pool that is not active: it says zero.
    capacityBytes: pool.active ? pool.capacityBytes : undefined,
    availableBytes: pool.active ? pool.availableBytes : undefined,
    space: pool.active && DIRECTORY_POOLS.has(pool.type) ? await measure(pool.path) : undefined,
  });
  return Promise.all(pools.map(describe));
}

export function readImageDirectories(
  paths: readonly string[],
  measure: MeasureSpace,
): Promise<ImageDirectory[]> {
  return Promise.all(paths.map(async path => ({ path, space: await measure(path) })));
}
