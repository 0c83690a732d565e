/** Checks of memory: how much, from which pools, on which cells, and the CPUs beside them. */

import type { HugePages, NumaCell } from "../../proto/gen/ferry/v1/host.js";
import { formatRangeList } from "../../proto/range-list.js";
import { type GuestNeeds, type HugePageNeed, hugeMemoryKib } from "../domain/guest-needs.js";
import type { Check, Objection } from "./check.js";
import { refused, unknown } from "./check.js";
import { unlessRefusedBefore } from "./machine-checks.js";
import type { TargetHost } from "./target-facts.js";

/** What huge pages give is not taken from the rest, whether locked or not. */
const memory: Check = {
  name: "memory",
  source: "MemAvailable in /proc/meminfo, less reserve and claims",
  judge({ memoryAvailableMib, needs }, { memoryMib }) {
    if (memoryAvailableMib === undefined) return [unknown("the target's free memory", "/proc/meminfo")];
    const neededMib = Math.max(0, memoryMib - Math.floor(hugeMemoryKib(needs) / 1024));
    if (memoryAvailableMib >= neededMib) return [];
    return [
      refused("the target has too little memory", {
        have: `${memoryAvailableMib} MiB`,
        need: `${neededMib} MiB`,
        fix: "stop or move a guest there, or choose another host",
      }),
    ];
  },
};

const hugePages: Check = {
  name: "huge-pages",
  source:
    "/sys/kernel/mm/hugepages, /sys/devices/system/node/node*/hugepages, hugetlbfs in /proc/self/mountinfo",
  judge: ({ host, needs }) => needs.hugePages.flatMap(need => judgePool(need, needs, host)),
};

function judgePool(need: HugePageNeed, { strictCells }: GuestNeeds, host: TargetHost): Objection[] {
  const sizeKib = need.sizeKib ?? host.memory.hugePageDefaultKib;
  const pool = host.memory.hugePages.find(candidate => candidate.sizeKib === sizeKib);
  if (sizeKib === undefined || pool === undefined) {
    const have = host.memory.hugePages.map(candidate => `${candidate.sizeKib} KiB`).join(", ") || "none";
    const size = sizeKib === undefined ? "any size" : `${sizeKib} KiB`;
    const fix =
      "set some aside on the target (default_hugepagesz=, hugepagesz= and hugepages= of its kernel)";
    return [refused("the target has no huge pages of this size", { have, need: size, fix })];
  }
  const isMounted = host.memory.hugePageMounts.some(mount => mount.sizeKib === sizeKib);
  const mount = refused(`the target has no hugetlbfs for pages of ${sizeKib} KiB`, {
    need: `a mount with pagesize=${sizeKib}K`,
    fix: `mount -t hugetlbfs -o pagesize=${sizeKib}K none /dev/hugepages, then restart libvirtd`,
  });
  const count = Math.ceil(need.memoryKib / sizeKib);
  return [
    ...(isMounted ? [] : [mount]),
    ...judgeFree(pool, count, poolsOf(strictCells, sizeKib, host.cells)),
  ];
}

/** The pools of the cells that must give the memory; undefined: any cell may. */
function poolsOf(
  strictCells: readonly number[] | undefined,
  sizeKib: number,
  cells: readonly NumaCell[],
): HugePages[] | undefined {
  if (strictCells === undefined) return undefined;
  const chosen = cells.filter(cell => strictCells.includes(cell.id));
  return chosen.flatMap(cell => cell.hugePages.filter(pool => pool.sizeKib === sizeKib));
}

function judgeFree(pool: HugePages, count: number, ofCells: readonly HugePages[] | undefined): Objection[] {
  const where = `free_hugepages of ${pool.sizeKib} KiB`;
  if (pool.free === undefined || pool.reserved === undefined) return [unknown("the free huge pages", where)];
  const freeOfCells = ofCells?.map(({ free }) => free);
  if (freeOfCells?.includes(undefined)) return [unknown("the free huge pages of its cells", where)];
  const inCells = freeOfCells?.reduce<number>((sum, free) => sum + (free ?? 0), 0) ?? pool.free;
  const free = Math.max(0, Math.min(pool.free - pool.reserved, inCells));
  if (free >= count) return [];
  return [
    refused("the target has too few free huge pages", {
      have: `${free} of ${pool.sizeKib} KiB${ofCells === undefined ? "" : " on the cells that must give them"}`,
      need: `${count} of ${pool.sizeKib} KiB`,
      fix: "add pages (vm.nr_hugepages), stop a guest that holds them, or choose another host",
    }),
  ];
}

const memoryBacking: Check = {
  name: "memory-backing",
  source: "memoryBacking of virConnectGetDomainCapabilities",
  judge(facts) {
    const { memorySource } = facts.needs;
    if (memorySource === undefined || memorySource === "anonymous") return [];
    const sources = facts.support?.memorySources ?? [];
    if (sources.length === 0) return unlessRefusedBefore(facts, "where guest memory can come from");
    if (sources.includes(memorySource)) return [];
    const fix = "choose another host, or change <memoryBacking>";
    const detail = { have: sources.join(", "), need: memorySource, fix };
    return [refused("the target does not back guest memory this way", detail)];
  },
};

const pins: Check = {
  name: "cpu-pins",
  source: "/sys/devices/system/cpu/online",
  judge: ({ host, needs }) =>
    judgeNumbers("host CPUs", needs.hostCpus, host.cpu.onlineCpus, "/sys/devices/system/cpu/online"),
};

const cells: Check = {
  name: "numa-cells",
  source: "/sys/devices/system/node/online",
  judge: ({ host, needs }) =>
    judgeNumbers(
      "NUMA cells",
      needs.hostCells,
      host.cells.map(({ id }) => id),
      "/sys/devices/system/node/online",
    ),
};

function judgeNumbers(
  what: string,
  named: readonly number[] | undefined,
  present: readonly number[],
  where: string,
): Objection[] {
  if (named === undefined) return [unknown(`which ${what} the domain names`, "virsh dumpxml on the source")];
  if (named.length === 0) return [];
  if (present.length === 0) return [unknown(`the target's ${what}`, where)];
  const missing = named.filter(number => !present.includes(number));
  if (missing.length === 0) return [];
  return [
    refused(`the domain names ${what} that the target does not have: ${formatRangeList(missing)}`, {
      have: formatRangeList(present),
      need: formatRangeList(named),
      fix: "choose a host that has them, or take them out of <cputune> or <numatune>",
    }),
  ];
}

export const MEMORY_CHECKS: readonly Check[] = [memory, hugePages, memoryBacking, pins, cells];
