/**
 * NUMA cells: memory, huge pages, distances and CPUs, grouped by core.
 *
 * A cell without memory or without CPUs is a cell like any other. Distances come in the order of the online
 * cells, whose numbers may have gaps.
 */

import type { CpuThread, NumaCell, NumaDistance } from "../../proto/gen/ferry/v1/host.js";
import { formatRangeList, parseRangeList } from "../../proto/range-list.js";
import { readHugePages } from "./huge-pages.js";
import { readMemoryInfo } from "./memory.js";
import { parseCount } from "./number-text.js";
import type { Tree } from "./tree.js";

const NODES = "devices/system/node";

/** `threads` are the online CPUs as `readCpu` found them. */
export async function readNumaCells(sys: Tree, threads: readonly CpuThread[]): Promise<NumaCell[]> {
  const ids = (await sys.value(`${NODES}/online`, parseRangeList)) ?? [];
  return Promise.all(ids.map(id => readCell(sys, id, ids, threads)));
}

async function readCell(
  sys: Tree,
  id: number,
  ids: readonly number[],
  threads: readonly CpuThread[],
): Promise<NumaCell> {
  const node = `${NODES}/node${id}`;
  const [sizeKib, distances, cpus, hugePages] = await Promise.all([
    readMemoryInfo(sys, `${node}/meminfo`),
    sys.value(`${node}/distance`, text => parseDistances(text, ids)),
    sys.value(`${node}/cpulist`, parseRangeList),
    readHugePages(sys, node),
  ]);
  return {
    id,
    totalKib: sizeKib("MemTotal"),
    freeKib: sizeKib("MemFree"),
    distances: distances ?? [],
    hugePages,
    cpus: cpus ?? [],
    siblings: groupByCore(cpus ?? [], threads),
  };
}

function parseDistances(text: string, ids: readonly number[]): NumaDistance[] | undefined {
  const distances = text.trim().split(/\s+/).map(parseCount);
  if (distances.length !== ids.length) return undefined;
  const paired = ids.flatMap((cell, index) => {
    const distance = distances[index];
    return distance === undefined ? [] : [{ cell, distance }];
  });
  return paired.length === ids.length ? paired : undefined;
}

/** CPUs whose core is unknown are left out: claiming one to be a core of its own could split a real core. */
function groupByCore(cpus: readonly number[], threads: readonly CpuThread[]): { cpus: number[] }[] {
  const cores = new Map<string, number[]>();
  for (const { id, siblings } of threads) {
    if (cpus.includes(id) && siblings.length > 0) cores.set(formatRangeList(siblings), siblings);
  }
  return [...cores.values()].map(siblings => ({ cpus: siblings }));
}
