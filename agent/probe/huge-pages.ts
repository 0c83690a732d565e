/**
 * Pools of huge pages, of the host (`kernel/mm`) or of one NUMA cell (`devices/system/node/nodeN`), and where
 * they are mounted. A kernel without hugetlb has no such directory, and then there are no pools.
 */

import type { HugePageMount, HugePages } from "../../proto/gen/ferry/v1/host.js";
import type { Mount } from "./mounts.js";
import { parseSize } from "./number-text.js";
import type { Tree } from "./tree.js";

const POOL = /^hugepages-(\d+)kB$/;

/** Smallest size first. */
export async function readHugePages(sys: Tree, directory: string): Promise<HugePages[]> {
  const names = await sys.optionalNames(`${directory}/hugepages`);
  const pools = names.flatMap(name => {
    const sizeKib = parseSize(POOL.exec(name)?.[1] ?? "");
    return sizeKib === undefined ? [] : [{ path: `${directory}/hugepages/${name}`, sizeKib }];
  });
  const read = await Promise.all(pools.map(({ path, sizeKib }) => readPool(sys, path, sizeKib)));
  return read.sort((a, b) => a.sizeKib - b.sizeKib);
}

async function readPool(sys: Tree, path: string, sizeKib: number): Promise<HugePages> {
  const [total, free, reserved] = await Promise.all([
    sys.value(`${path}/nr_hugepages`, parseSize),
    sys.value(`${path}/free_hugepages`, parseSize),
    sys.optionalValue(`${path}/resv_hugepages`, parseSize),
  ]);
  return { sizeKib, total, free, reserved };
}

const KIB_PER_UNIT = { K: 1, M: 1024, G: 1024 * 1024 } as const;

export function hugePageMounts(mounts: readonly Mount[]): HugePageMount[] {
  return mounts
    .filter(mount => mount.fileSystem === "hugetlbfs")
    .map(mount => ({ path: mount.path, sizeKib: pageSizeKib(mount.options) }));
}

function pageSizeKib(options: readonly string[]): number | undefined {
  const match = /^pagesize=(\d+)([KMG])$/.exec(options.find(option => option.startsWith("pagesize=")) ?? "");
  const count = parseSize(match?.[1] ?? "");
  return count === undefined ? undefined : count * KIB_PER_UNIT[match?.[2] as keyof typeof KIB_PER_UNIT];
}
