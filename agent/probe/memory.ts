/** The host's memory from /proc/meminfo, with its pools of huge pages. */

import type { HostMemory } from "../../proto/gen/ferry/v1/host.js";
import { hugePageMounts, readHugePages } from "./huge-pages.js";
import type { Mount } from "./mounts.js";
import { parseSize } from "./number-text.js";
import type { Trees } from "./roots.js";
import type { Tree } from "./tree.js";

export async function readMemory(
  { sys, proc }: Pick<Trees, "sys" | "proc">,
  mounts: readonly Mount[],
): Promise<HostMemory> {
  const sizeKib = await readMemoryInfo(proc, "meminfo");
  const hugePages = await readHugePages(sys, "kernel/mm");
  return {
    totalKib: sizeKib("MemTotal"),
    freeKib: sizeKib("MemFree"),
    availableKib: sizeKib("MemAvailable"),
    swapTotalKib: sizeKib("SwapTotal"),
    swapFreeKib: sizeKib("SwapFree"),
    hugePages,
    hugePageMounts: hugePageMounts(mounts),
    hugePageDefaultKib: hugePages.length > 0 ? sizeKib("Hugepagesize") : undefined,
  };
}

/** Lookup of a size in KiB in the host's or a cell's meminfo; a field that is not there is reported. */
export async function readMemoryInfo(
  tree: Tree,
  path: string,
): Promise<(field: string) => number | undefined> {
  const text = await tree.text(path);
  const sizes = parseMemoryInfo(text ?? "");
  return field => {
    const sizeKib = sizes.get(field);
    if (sizeKib === undefined && text !== undefined) tree.complain(path, `has no ${field}`);
    return sizeKib;
  };
}

/** Lines `MemTotal:  1024 kB`; in a cell's file they begin with `Node 0`. Other lines are passed over. */
function parseMemoryInfo(text: string): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = /^(?:Node \d+ )?([A-Za-z_()]+):\s+(\d+) kB$/.exec(line.trim());
    const sizeKib = parseSize(match?.[2] ?? "");
    if (match?.[1] && sizeKib !== undefined) sizes.set(match[1], sizeKib);
  }
  return sizes;
}
