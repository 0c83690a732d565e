/** One cell of a guest on one cell of a host: vCPUs, memory and page size, judged by counts alone. */

import type { FreeCell } from "../gen/ferry/v1/host.js";
import type { GuestCell, GuestHardware } from "./guest-hardware.js";
import { canPack, type Demand } from "./pack-cores.js";

export interface Ratios {
  readonly cpuAllocationRatio: number;
  readonly ramAllocationRatio: number;
}

/** The first guest cell with dedicated CPUs gives its host cell's CPU to isolated emulator threads. */
export function demandOf(cell: GuestCell, guest: GuestHardware): Demand {
  const first = guest.cells.find(({ dedicated }) => dedicated.length > 0);
  const extra = guest.emulatorThreads === "isolate" && cell === first ? 1 : 0;
  return { count: cell.dedicated.length, extra, policy: guest.threadPolicy };
}

export const fitsCell = (
  cell: GuestCell,
  guest: GuestHardware,
  host: FreeCell,
  ratios: Ratios,
  demand = demandOf(cell, guest),
): boolean =>
  canPack(host.cores, demand) &&
  hasShared(cell.vcpus.length - cell.dedicated.length, host, ratios) &&
  memoryFor(cell, guest, host, ratios) !== undefined;

/** A guest is never overcommitted against itself. */
export function hasShared(count: number, { sharedCpus, sharedBooked }: FreeCell, ratios: Ratios): boolean {
  if (count === 0) return true;
  const capacity = Math.floor(sharedCpus.length * ratios.cpuAllocationRatio);
  return count <= sharedCpus.length && sharedBooked + count <= capacity;
}

/** 0: ordinary pages; undefined: the cell has no such memory. */
export function memoryFor(
  { memoryKib }: GuestCell,
  { pageSize }: GuestHardware,
  host: FreeCell,
  ratios: Ratios,
): number | undefined {
  if (pageSize === undefined) return hasOrdinary(memoryKib, host, ratios.ramAllocationRatio) ? 0 : undefined;
  const small = () => (hasOrdinary(memoryKib, host, 1) ? 0 : undefined);
  if (pageSize === "small") return small();
  let huge = 0;
  for (const { sizeKib, free = 0 } of host.pages) {
    const isMeant = typeof pageSize === "string" || sizeKib === pageSize;
    if (isMeant && memoryKib % sizeKib === 0 && free * sizeKib >= memoryKib) huge = Math.max(huge, sizeKib);
  }
  if (huge > 0) return huge;
  return pageSize === "any" ? small() : undefined;
}

function hasOrdinary(neededKib: number, { memoryKib = 0, bookedKib }: FreeCell, ratio: number): boolean {
  return neededKib <= memoryKib && bookedKib + neededKib <= memoryKib * ratio;
}
