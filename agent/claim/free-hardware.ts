/**
 * What this host can still give: the machine as the kernel tells it, by the sets and aliases of the configuration,
 * less what guests hold. Pure; the answer is what `proto/fit` judges, here and at the controller.
 *
 * Huge pages are free by two counts: those of the pool that nobody booked, and those that the kernel has left less
 * what guests that do not run yet will take. Programs beside libvirt's show up in the second only.
 */

import type {
  CpuSiblings,
  FreeCell,
  FreeHardware,
  FreePages,
  HostCpu,
  HugePages,
  NumaCell,
  PciDevice,
} from "../../proto/gen/ferry/v1/host.js";
import { parseCpuSet } from "../../proto/range-list.js";
import type { AgentConfig } from "../config.js";
import type { CellBooking, HardwareBooking } from "./hardware-booking.js";
import { offeredDevices } from "./offered-devices.js";

export interface Hardware {
  readonly cpu: Pick<HostCpu, "onlineCpus" | "topology">;
  readonly cells: readonly NumaCell[];
  readonly pciDevices: readonly PciDevice[];
}

type HardwareConfig = Pick<
  AgentConfig,
  "cpu_shared_set" | "cpu_dedicated_set" | "cpu_allocation_ratio" | "ram_allocation_ratio" | "pci_alias"
>;

export interface Held extends HardwareBooking {
  /** Its memory is the kernel's already. */
  readonly runs: boolean;
}

export function freeHardware(
  hardware: Hardware,
  config: HardwareConfig,
  held: readonly Held[],
): FreeHardware {
  const { cpu, pciDevices } = hardware;
  const sets = cpuSets(config, cpu.onlineCpus);
  const bound = hardware.cells.map(cell => freeCell(cell, cpu, sets, held));
  const cells = withoutUnboundPages(bound, held);
  const taken = held.flatMap(({ devices }) => devices);
  const { devices, problems } = offeredDevices(pciDevices, config.pci_alias, taken, cells);
  return {
    cells,
    sharedCpus: sets.shared,
    cpuAllocationRatio: config.cpu_allocation_ratio,
    ramAllocationRatio: config.ram_allocation_ratio,
    devices: [...devices],
    problems: [...problems],
  };
}

export interface CpuSets {
  readonly shared: number[];
  readonly dedicated: number[];
}

/** Of the CPUs that are online. */
export function cpuSets(
  { cpu_shared_set, cpu_dedicated_set }: Pick<HardwareConfig, "cpu_shared_set" | "cpu_dedicated_set">,
  online: readonly number[],
): CpuSets {
  const within = (set: string) => (parseCpuSet(set) ?? []).filter(cpu => online.includes(cpu));
  const dedicated = within(cpu_dedicated_set ?? "");
  if (cpu_shared_set !== undefined) return { shared: within(cpu_shared_set), dedicated };
  return { shared: cpu_dedicated_set === undefined ? [...online] : [], dedicated };
}

function freeCell(
  cell: NumaCell,
  { topology }: Hardware["cpu"],
  { shared, dedicated }: CpuSets,
  held: readonly Held[],
): FreeCell {
  const here = held.flatMap(({ cells }) => cells).filter(({ hostCell }) => hostCell === cell.id);
  const taken = new Set(held.flatMap(({ cpus }) => cpus));
  const threads = topology.filter(({ id }) => cell.cpus.includes(id));
  return {
    id: cell.id,
    memoryKib: ordinaryKib(cell),
    bookedKib: sum(here.filter(({ pageKib }) => pageKib === 0).map(({ memoryKib }) => memoryKib)),
    pages: cell.hugePages.map(pool => freePages(pool, cell.id, held)),
    sharedCpus: cell.cpus.filter(cpu => shared.includes(cpu)),
    sharedBooked: sum(here.map(({ sharedVcpus }) => sharedVcpus)),
    cores: cell.siblings.flatMap(core => freeCore(core, cpu => dedicated.includes(cpu) && !taken.has(cpu))),
    distances: cell.distances,
    socketIds: [...new Set(threads.flatMap(({ socketId }) => socketId ?? []))],
  };
}

function freeCore({ cpus }: CpuSiblings, isFree: (cpu: number) => boolean) {
  const free = cpus.filter(isFree);
  return free.length === 0 ? [] : [{ cpus: free, threads: cpus.length }];
}

/** Unknown where any part of it is. */
function ordinaryKib({ totalKib, hugePages }: NumaCell): number | undefined {
  if (totalKib === undefined || hugePages.some(({ total }) => total === undefined)) return undefined;
  return Math.max(0, totalKib - sum(hugePages.map(({ total, sizeKib }) => (total ?? 0) * sizeKib)));
}

function freePages({ sizeKib, total, free }: HugePages, cell: number, held: readonly Held[]): FreePages {
  if (total === undefined || free === undefined) return { sizeKib, free: undefined };
  const isHere = ({ hostCell, pageKib }: CellBooking) => hostCell === cell && pageKib === sizeKib;
  const pagesOf = (guests: readonly Held[]) =>
    sum(
      guests
        .flatMap(({ cells }) => cells.filter(isHere))
        .map(({ memoryKib }) => Math.ceil(memoryKib / sizeKib)),
    );
  const waiting = pagesOf(held.filter(({ runs }) => !runs));
  return { sizeKib, free: Math.max(0, Math.min(total - pagesOf(held), free - waiting)) };
}

/**
 * Guests that are bound to no cell take their pages where the kernel finds them; until they run, the fullest cells keep
 * some for them.
 */
function withoutUnboundPages(cells: readonly FreeCell[], held: readonly Held[]): FreeCell[] {
  const left = cells.map(cell => ({ ...cell, pages: cell.pages.map(pool => ({ ...pool })) }));
  for (const { pageKib, memoryKib } of held.filter(({ runs }) => !runs).flatMap(({ pages }) => pages)) {
    let missing = Math.ceil(memoryKib / pageKib);
    const pools = left
      .flatMap(cell => cell.pages.filter(({ sizeKib }) => sizeKib === pageKib))
      .sort((one, other) => (other.free ?? 0) - (one.free ?? 0));
    for (const pool of pools) {
      const kept = Math.min(pool.free ?? 0, missing);
      pool.free = pool.free === undefined ? undefined : pool.free - kept;
      missing -= kept;
    }
  }
  return left;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
