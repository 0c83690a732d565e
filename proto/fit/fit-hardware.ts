/**
 * Whether a host has the hardware that a guest asks for, and which: host cells for its cells, CPUs for its vCPUs, a
 * page size, devices. Pure, deterministic, and the same for the scheduler's filter, a check and a claim.
 *
 * Every set of host cells that could do is looked at. The best has its devices near, then its cells near each other,
 * then most room left; equals by number.
 */

import type { FreeCell, FreeHardware } from "../gen/ferry/v1/host.js";
import { type ChosenDevices, chooseDevices } from "./choose-devices.js";
import { demandOf, fitsCell, memoryFor } from "./fit-cell.js";
import type { GuestCell, GuestHardware } from "./guest-hardware.js";
import { matchCells, subsets } from "./match-cells.js";
import { packCores } from "./pack-cores.js";

export interface PlacedCell {
  readonly hostCell: number;
  readonly memoryKib: number;
  /** 0: ordinary pages. */
  readonly pageKib: number;
  /** The guest's vCPUs with a host CPU of their own. */
  readonly pins: readonly { readonly vcpu: number; readonly cpu: number }[];
  /** The guest's other vCPUs, and where they run. */
  readonly floating: readonly number[];
  readonly floatingCpus: readonly number[];
}

export interface Placement {
  /** In the order of the guest's cells. */
  readonly cells: readonly PlacedCell[];
  /** Where emulator threads run; empty: wherever the vCPUs do. */
  readonly emulatorCpus: readonly number[];
  /** Dedicated CPUs that nobody else gets: pins, the emulator's, and threads kept idle. */
  readonly bookedCpus: readonly number[];
  /** Addresses, in the order of the guest's requests. */
  readonly devices: readonly string[];
}

/** The placement on this host; undefined when there is none (`whyNotFit` says why). */
export function fitHardware(free: FreeHardware, guest: GuestHardware): Placement | undefined {
  const best = bestChoice(free, guest, false);
  return best && placementOf(best, free, guest);
}

/** The same answer, without choosing. */
export const fitsHardware = (free: FreeHardware, guest: GuestHardware): boolean => fitFor(guest)(free);

/** The same for many hosts: the guest is looked at once. */
export function fitFor(guest: GuestHardware): (free: FreeHardware) => boolean {
  if (guest.devices.length > 0 || guest.cells.length === 0)
    return free => bestChoice(free, guest, true) !== undefined;
  const [first, ...others] = guest.cells.map(cell => ({ cell, demand: demandOf(cell, guest) }));
  const areAlike = others.every(({ cell }) => first !== undefined && asksAlike(cell, first.cell, guest));
  if (first !== undefined && areAlike) {
    // Any cell that takes one takes any of them.
    return free => {
      let left = guest.cells.length;
      for (const host of free.cells) {
        if (fitsCell(first.cell, guest, host, free, first.demand)) left -= 1;
        if (left === 0) return true;
      }
      return false;
    };
  }
  // Without devices any set of cells that takes them will do.
  return free => {
    const fits = cellsThatFit(free, guest);
    return fits.every(row => row.includes(true)) && matchCells(fits, [...free.cells.keys()]) !== undefined;
  };
}

interface Choice {
  /** In the order of the guest's cells. */
  readonly hostCells: readonly FreeCell[];
  readonly devices: ChosenDevices;
}

function bestChoice(free: FreeHardware, guest: GuestHardware, anyWillDo: boolean): Choice | undefined {
  if (guest.cells.length === 0) {
    const devices = chooseDevices(free.devices, guest.devices, []);
    return devices && { hostCells: [], devices };
  }
  const fits = cellsThatFit(free, guest);
  if (fits.some(row => !row.includes(true))) return undefined;
  const usable = free.cells.map((_, index) => index).filter(index => fits.some(row => row[index]));
  let best: { choice: Choice; score: readonly number[] } | undefined;
  for (const chosen of subsets(usable, guest.cells.length)) {
    const matched = matchCells(fits, chosen);
    if (matched === undefined) continue;
    const hostCells = matched.flatMap(index => free.cells[index] ?? []);
    const devices = chooseDevices(free.devices, guest.devices, hostCells);
    if (devices === undefined) continue;
    const choice = { hostCells, devices };
    if (anyWillDo) return choice;
    const score = [devices.away, spread(hostCells), -room(hostCells)];
    if (best === undefined || isLower(score, best.score)) best = { choice, score };
  }
  return best?.choice;
}

/** `[guest cell][host cell]`; cells that ask alike are judged once. */
function cellsThatFit(free: FreeHardware, guest: GuestHardware): boolean[][] {
  const rows: boolean[][] = [];
  for (const [index, cell] of guest.cells.entries()) {
    const like = guest.cells.findIndex((other, place) => place < index && asksAlike(cell, other, guest));
    rows.push(rows[like] ?? free.cells.map(host => fitsCell(cell, guest, host, free)));
  }
  return rows;
}

const asksAlike = (one: GuestCell, other: GuestCell, guest: GuestHardware): boolean =>
  one.vcpus.length === other.vcpus.length &&
  one.dedicated.length === other.dedicated.length &&
  one.memoryKib === other.memoryKib &&
  demandOf(one, guest).extra === demandOf(other, guest).extra;

/** The sum of all distances between the cells; one that is not told counts as far. */
function spread(cells: readonly FreeCell[]): number {
  const far = 255;
  let sum = 0;
  for (const one of cells)
    for (const other of cells)
      if (one !== other) sum += one.distances.find(({ cell }) => cell === other.id)?.distance ?? far;
  return sum;
}

const room = (cells: readonly FreeCell[]): number =>
  cells.reduce((sum, { cores, sharedCpus, sharedBooked }) => {
    const dedicated = cores.reduce((count, { cpus }) => count + cpus.length, 0);
    return sum + dedicated + sharedCpus.length - sharedBooked;
  }, 0);

function isLower(one: readonly number[], other: readonly number[]): boolean {
  const index = one.findIndex((value, place) => value !== other[place]);
  return index >= 0 && (one[index] ?? 0) < (other[index] ?? 0);
}

function placementOf({ hostCells, devices }: Choice, free: FreeHardware, guest: GuestHardware): Placement {
  const placed = guest.cells.map((cell, index) => placeCell(cell, guest, hostCells[index], free));
  const extra = placed.flatMap(cell => cell.extra);
  return {
    cells: placed.map(({ placement }) => placement),
    emulatorCpus: guest.emulatorThreads === "share" ? free.sharedCpus : extra,
    bookedCpus: placed.flatMap(cell => cell.booked).sort((a, b) => a - b),
    devices: devices.addresses,
  };
}

function placeCell(cell: GuestCell, guest: GuestHardware, host: FreeCell | undefined, free: FreeHardware) {
  const packing = host && packCores(host.cores, demandOf(cell, guest));
  const pageKib = host && memoryFor(cell, guest, host, free);
  if (host === undefined || packing === undefined || pageKib === undefined)
    throw new TypeError("a chosen cell does not fit");
  const floating = cell.vcpus.filter(vcpu => !cell.dedicated.includes(vcpu));
  const placement: PlacedCell = {
    hostCell: host.id,
    memoryKib: cell.memoryKib,
    pageKib,
    pins: cell.dedicated.map((vcpu, index) => ({ vcpu, cpu: packing.pins[index] ?? Number.NaN })),
    floating,
    floatingCpus: floating.length > 0 ? host.sharedCpus : [],
  };
  return { placement, extra: packing.extra, booked: [...packing.pins, ...packing.extra, ...packing.idle] };
}
