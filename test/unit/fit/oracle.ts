/**
 * The same question answered by trying everything: every host cell for every guest cell, every set of free CPUs, every
 * device for every request, against rules written down one by one. Only for small hosts.
 */

import type { Placement } from "../../../proto/fit/fit-hardware.js";
import type { DeviceRequest, GuestCell, GuestHardware } from "../../../proto/fit/guest-hardware.js";
import type { FreeCell, FreeDevice, FreeHardware } from "../../../proto/gen/ferry/v1/host.js";

export function fitsByTrying(free: FreeHardware, guest: GuestHardware): boolean {
  if (guest.cells.length === 0) return someDevices(free, guest, []);
  return arrangements(free.cells, guest.cells.length).some(
    hosts =>
      guest.cells.every((cell, index) => cellFits(cell, guest, at(hosts, index), free)) &&
      someDevices(free, guest, hosts),
  );
}

/** Whether what was placed keeps every rule; the first one that is broken. */
export function brokenRule(
  free: FreeHardware,
  guest: GuestHardware,
  placement: Placement,
): string | undefined {
  const hosts = placement.cells.map(({ hostCell }) =>
    at(
      free.cells.filter(({ id }) => id === hostCell),
      0,
    ),
  );
  if (new Set(placement.cells.map(({ hostCell }) => hostCell)).size !== guest.cells.length)
    return "cells differ";
  const all = placement.cells.flatMap(({ pins }) => pins.map(({ cpu }) => cpu));
  if (new Set(all).size !== all.length) return "no CPU serves two vCPUs";
  for (const [index, cell] of guest.cells.entries()) {
    const placed = at(placement.cells, index);
    const host = at(hosts, index);
    const pinned = placed.pins.map(({ vcpu }) => vcpu);
    if (pinned.join() !== cell.dedicated.join()) return "dedicated vCPUs are pinned, no others";
    const pins = placed.pins.map(({ cpu }) => cpu);
    const extras = extraOf(cell, guest) === 0 ? [] : placement.emulatorCpus;
    if (!keepsPolicy(pins, extras, guest, host)) return `thread policy ${guest.threadPolicy}`;
    if (!memoryFits(placed.pageKib, cell, guest, host, free)) return "memory";
    if ([...pins, ...extras].some(cpu => !placement.bookedCpus.includes(cpu)))
      return "what is used is booked";
    if (placed.floating.length > 0 && placed.floatingCpus.join() !== host.sharedCpus.join())
      return "floating CPUs";
  }
  if (guest.threadPolicy === "isolate" && !keepsSiblings(placement, free)) return "siblings are booked";
  return devicesFit(placement.devices, free, guest, hosts) ? undefined : "devices";
}

const at = <T>(items: readonly T[], index: number): T => {
  const item = items[index];
  if (item === undefined) throw new Error(`no item ${index}`);
  return item;
};

/** Every way to take `count` of the items, in every order. */
function arrangements<T>(items: readonly T[], count: number): T[][] {
  if (count === 0) return [[]];
  return items.flatMap(item =>
    arrangements(
      items.filter(other => other !== item),
      count - 1,
    ).map(rest => [item, ...rest]),
  );
}

function combinations<T>(items: readonly T[], count: number): T[][] {
  if (count === 0) return [[]];
  return items.flatMap((item, index) =>
    combinations(items.slice(index + 1), count - 1).map(rest => [item, ...rest]),
  );
}

function extraOf(cell: GuestCell, guest: GuestHardware): number {
  const first = guest.cells.find(({ dedicated }) => dedicated.length > 0);
  return guest.emulatorThreads === "isolate" && first === cell ? 1 : 0;
}

function cellFits(cell: GuestCell, guest: GuestHardware, host: FreeCell, free: FreeHardware): boolean {
  const cpus = host.cores.flatMap(core => core.cpus);
  const extra = extraOf(cell, guest);
  const pinnable = combinations(cpus, cell.dedicated.length).some(pins =>
    combinations(
      cpus.filter(cpu => !pins.includes(cpu)),
      extra,
    ).some(extras => keepsPolicy(pins, extras, guest, host)),
  );
  const floating = cell.vcpus.length - cell.dedicated.length;
  const roomy =
    floating === 0 ||
    (floating <= host.sharedCpus.length &&
      host.sharedBooked + floating <= Math.floor(host.sharedCpus.length * free.cpuAllocationRatio));
  const sizes = [0, ...host.pages.map(({ sizeKib }) => sizeKib)];
  return pinnable && roomy && sizes.some(size => memoryFits(size, cell, guest, host, free));
}

function keepsPolicy(
  pins: readonly number[],
  extras: readonly number[],
  { threadPolicy }: GuestHardware,
  host: FreeCell,
): boolean {
  const used = [...pins, ...extras];
  const isFree = used.every(cpu => host.cores.some(({ cpus }) => cpus.includes(cpu)));
  if (!isFree || new Set(used).size !== used.length) return false;
  const shares = host.cores.map(core => ({
    core,
    used: used.filter(cpu => core.cpus.includes(cpu)).length,
    pinned: pins.filter(cpu => core.cpus.includes(cpu)).length,
  }));
  if (threadPolicy === "isolate")
    return shares.every(
      ({ core, used: count }) => count === 0 || (count === 1 && core.cpus.length === core.threads),
    );
  if (threadPolicy === "prefer" || pins.length === 0) return true;
  const taking = shares.filter(({ pinned }) => pinned > 0);
  return [2, 3, 4].some(threads => {
    const uneven = taking.filter(({ pinned }) => pinned !== threads);
    return (
      taking.every(({ core, pinned }) => core.cpus.length >= threads && pinned <= threads) &&
      uneven.length <= 1
    );
  });
}

function keepsSiblings({ bookedCpus, cells, emulatorCpus }: Placement, free: FreeHardware): boolean {
  const used = cells.flatMap(({ pins }) => pins.map(({ cpu }) => cpu)).concat(emulatorCpus);
  const cores = free.cells.flatMap(cell => cell.cores);
  return cores
    .filter(({ cpus }) => cpus.some(cpu => used.includes(cpu) && bookedCpus.includes(cpu)))
    .every(({ cpus }) => cpus.every(cpu => bookedCpus.includes(cpu)));
}

function memoryFits(
  pageKib: number,
  { memoryKib }: GuestCell,
  { pageSize }: GuestHardware,
  host: FreeCell,
  free: FreeHardware,
): boolean {
  if (pageKib === 0) {
    if (pageSize === "large" || typeof pageSize === "number" || host.memoryKib === undefined) return false;
    const ratio = pageSize === undefined ? free.ramAllocationRatio : 1;
    return memoryKib <= host.memoryKib && host.bookedKib + memoryKib <= host.memoryKib * ratio;
  }
  if (pageSize === undefined || pageSize === "small") return false;
  if (typeof pageSize === "number" && pageKib !== pageSize) return false;
  const pool = host.pages.find(({ sizeKib }) => sizeKib === pageKib);
  return memoryKib % pageKib === 0 && pool?.free !== undefined && memoryKib / pageKib <= pool.free;
}

const someDevices = (free: FreeHardware, guest: GuestHardware, hosts: readonly FreeCell[]): boolean =>
  arrangements(free.devices, guest.devices.length).some(devices =>
    devicesFit(
      devices.map(({ address }) => address),
      free,
      guest,
      hosts,
    ),
  );

function devicesFit(
  addresses: readonly string[],
  free: FreeHardware,
  guest: GuestHardware,
  hosts: readonly FreeCell[],
): boolean {
  if (addresses.length !== guest.devices.length || new Set(addresses).size !== addresses.length) return false;
  return addresses.every((address, index) => {
    const device = at(
      free.devices.filter(candidate => candidate.address === address),
      0,
    );
    return (
      isNear(device, at(guest.devices, index), hosts) &&
      device.companions.every(other => addresses.includes(other)) &&
      !addresses.includes(device.physicalFunction)
    );
  });
}

function isNear(device: FreeDevice, { alias, policy }: DeviceRequest, hosts: readonly FreeCell[]): boolean {
  const told = device.aliases[alias];
  if (told === undefined) return false;
  if (hosts.length === 0) return true;
  const inCells = hosts.some(({ id }) => id === device.numaCell);
  switch (policy ?? told) {
    case "required":
      return inCells;
    case "legacy":
      return inCells || device.numaCell === undefined;
    case "socket":
      return inCells || hosts.some(({ socketIds }) => socketIds.some(id => device.socketIds.includes(id)));
    default:
      return true;
  }
}
