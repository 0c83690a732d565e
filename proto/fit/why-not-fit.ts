/** Why a host does not have the hardware that a guest asks for, in sentences that a person can act on. */

import type { FreeCell, FreeHardware } from "../gen/ferry/v1/host.js";
import { formatRangeList } from "../range-list.js";
import { chooseDevices } from "./choose-devices.js";
import { demandOf, fitsCell, hasShared, memoryFor } from "./fit-cell.js";
import { fitsHardware } from "./fit-hardware.js";
import type { GuestCell, GuestHardware, PageSize } from "./guest-hardware.js";
import { canPack } from "./pack-cores.js";

export interface Shortage {
  readonly message: string;
  readonly have: string;
  readonly need: string;
  readonly fix: string;
}

/** Empty exactly when `fitHardware` finds a placement. */
export function whyNotFit(free: FreeHardware, guest: GuestHardware): Shortage[] {
  if (fitsHardware(free, guest)) return [];
  const ofCells = whyNotCells(free, { ...guest, devices: [] });
  const ofDevices = whyNotDevices(free, guest);
  const found = [...ofCells, ...ofDevices];
  return found.length > 0 ? found : [notTogether(free, guest)];
}

function whyNotCells(free: FreeHardware, guest: GuestHardware): Shortage[] {
  if (guest.cells.length > free.cells.length) {
    return [
      {
        message: "the guest has more NUMA cells than the host",
        have: free.cells.length === 0 ? "cells that could not be read" : cellsOf(free.cells),
        need: `${guest.cells.length} cells`,
        fix: "choose a host with as many cells, or a flavor with fewer (hw:numa_nodes)",
      },
    ];
  }
  const lacking = guest.cells.filter(cell => !free.cells.some(host => fitsCell(cell, guest, host, free)));
  if (lacking.length > 0) return lacking.map(cell => shortageOf(cell, guest, free));
  if (fitsHardware(free, guest)) return [];
  return [
    {
      message: "the guest's cells fit one by one, but not all at once",
      have: free.cells.map(host => `cell ${host.id}: ${describe(host)}`).join("; "),
      need: `${guest.cells.length} different cells for ${guest.cells.map(cell => needOf(cell, guest)).join("; ")}`,
      fix: FIX,
    },
  ];
}

const FIX = "stop or move a guest there, widen cpu_dedicated_set or the page pools, or choose another host";

const cellsOf = (cells: readonly FreeCell[]): string => `cells ${formatRangeList(cells.map(({ id }) => id))}`;

function shortageOf(cell: GuestCell, guest: GuestHardware, free: FreeHardware): Shortage {
  const number = guest.cells.indexOf(cell);
  const whose = guest.cells.length === 1 ? "the guest" : `cell ${number} of the guest`;
  return {
    message: `no NUMA cell of the host has what ${whose} needs`,
    have: free.cells.map(host => `cell ${host.id}: ${lackOf(cell, guest, host, free)}`).join("; "),
    need: needOf(cell, guest),
    fix: free.cells.some(({ cores }) => cores.length > 0) || cell.dedicated.length === 0 ? FIX : SET_FIX,
  };
}

const SET_FIX =
  "set cpu_dedicated_set in the host's agent.toml, free dedicated CPUs there, or choose another host";

/** What a host cell is short of, first things first. */
function lackOf(cell: GuestCell, guest: GuestHardware, host: FreeCell, free: FreeHardware): string {
  const demand = demandOf(cell, guest);
  if (!canPack(host.cores, demand)) {
    const whole = host.cores.filter(({ cpus, threads }) => cpus.length === threads).length;
    return `${freeCpus(host)} dedicated CPUs free in ${host.cores.length} cores, ${whole} of them whole`;
  }
  const floating = cell.vcpus.length - cell.dedicated.length;
  if (!hasShared(floating, host, free))
    return `${host.sharedCpus.length} shared CPUs with ${host.sharedBooked} vCPUs on them`;
  if (memoryFor(cell, guest, host, free) === undefined) return memoryOf(host, guest.pageSize);
  return "enough";
}

const freeCpus = ({ cores }: FreeCell): number => cores.reduce((sum, { cpus }) => sum + cpus.length, 0);

const describe = (host: FreeCell): string =>
  `${freeCpus(host)} dedicated CPUs, ${memoryOf(host, undefined)}, ${memoryOf(host, "large")}`;

function memoryOf({ memoryKib, bookedKib, pages }: FreeCell, pageSize: PageSize | undefined): string {
  const ordinary =
    memoryKib === undefined ? "memory unknown" : `${mib(memoryKib - bookedKib)} MiB of ordinary memory`;
  if (pageSize === undefined || pageSize === "small") return ordinary;
  const pools = pages
    .filter(({ sizeKib }) => typeof pageSize === "string" || sizeKib === pageSize)
    .map(({ sizeKib, free }) => `${free ?? "unknown"} pages of ${sizeKib} KiB`);
  const huge = pools.length > 0 ? pools.join(", ") : "no such huge pages";
  return pageSize === "any" ? `${huge}, ${ordinary}` : huge;
}

const mib = (sizeKib: number): number => Math.max(0, Math.floor(sizeKib / 1024));

function needOf(cell: GuestCell, guest: GuestHardware): string {
  const { count, extra, policy } = demandOf(cell, guest);
  const threads = policy === "prefer" ? "" : ` (threads: ${policy})`;
  const emulator = extra > 0 ? " and one for emulator threads" : "";
  const floating = cell.vcpus.length - count;
  return [
    ...(count > 0 ? [`${count} dedicated CPUs${threads}${emulator}`] : []),
    ...(floating > 0 ? [`${floating} shared CPUs`] : []),
    `${mib(cell.memoryKib)} MiB${pagesOf(guest.pageSize)}`,
  ].join(", ");
}

function pagesOf(pageSize: PageSize | undefined): string {
  if (pageSize === undefined) return "";
  return typeof pageSize === "number" ? ` in pages of ${pageSize} KiB` : ` in ${pageSize} pages`;
}

function whyNotDevices(
  { devices, problems }: FreeHardware,
  { devices: requests }: GuestHardware,
): Shortage[] {
  const aliases = [...new Set(requests.map(({ alias }) => alias))];
  const short = aliases.flatMap(alias => {
    const count = requests.filter(request => request.alias === alias).length;
    const offered = devices
      .filter(device => Object.hasOwn(device.aliases, alias))
      .map(({ address }) => address);
    return offered.length >= count ? [] : [{ alias, count, offered }];
  });
  if (short.length > 0) {
    return short.map(({ alias, count, offered }) => ({
      message: `the host has too few free devices ${nameOf(alias)}`,
      have: [offered.join(", ") || "none", ...problems.filter(line => line.includes(alias))].join("; "),
      need: `${count}`,
      fix: "free one there, name more in [[pci_alias]] of the host's agent.toml, or choose another host",
    }));
  }
  if (chooseDevices(devices, requests, []) !== undefined) return [];
  return [
    {
      message: "the devices that are free cannot go to one guest",
      have: devices.map(({ address, companions }) => [address, ...companions].join(" with ")).join("; "),
      need: aliases.map(nameOf).join(", "),
      fix: "ask for the whole IOMMU group, or unbind the rest of it from its drivers on the host",
    },
  ];
}

const nameOf = (alias: string): string =>
  alias.startsWith("network/") ? `for physical network ${alias.slice("network/".length)}` : alias;

/** Cells would do, devices would do, but not these with those. */
function notTogether({ devices, cells }: FreeHardware, guest: GuestHardware): Shortage {
  const wanted = new Set(guest.devices.map(({ alias }) => alias));
  const places = devices
    .filter(({ aliases }) => Object.keys(aliases).some(alias => wanted.has(alias)))
    .map(
      ({ address, numaCell }) =>
        `${address} ${numaCell === undefined ? "of no cell" : `at cell ${numaCell}`}`,
    );
  return {
    message: "the devices are not where the guest's cells fit",
    have: `${places.join(", ")}; ${cells.map(host => `cell ${host.id}: ${describe(host)}`).join("; ")}`,
    need: `${[...wanted].map(nameOf).join(", ")} near ${guest.cells.map(cell => needOf(cell, guest)).join("; ")}`,
    fix: "free CPUs or memory of the devices' cell, or choose hw:pci_numa_affinity_policy preferred",
  };
}
