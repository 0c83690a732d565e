/**
 * A flavor's extra specs as what they ask of the hardware, in Nova's words and with Nova's rules:
 *
 *   hw:numa_nodes  hw:numa_cpus.N  hw:numa_mem.N (MiB)     hw:mem_page_size  small | large | any | 2048 | 2MB | 1GB
 *   hw:cpu_policy  shared | dedicated | mixed              hw:cpu_dedicated_mask  2-3 | ^0-1
 *   hw:cpu_thread_policy  prefer | isolate | require       hw:emulator_threads_policy  isolate | share
 *   pci_passthrough:alias  NAME:COUNT,…                    hw:pci_numa_affinity_policy  required | preferred | …
 *
 * What contradicts itself is a fault, never read as something that can be had.
 */

import { Fault } from "../fault.js";
import { parseCpuSet } from "../range-list.js";
import type {
  DevicePolicy,
  DeviceRequest,
  EmulatorThreads,
  GuestCell,
  GuestHardware,
  PageSize,
  ThreadPolicy,
} from "./guest-hardware.js";

type ExtraSpecs = Readonly<Record<string, string>>;

interface Sizes {
  readonly vcpus: number;
  readonly ramMib: number;
}

const KIB_PER_MIB = 1024;
const CELLS_MOST = 64;
const DEVICES_MOST = 256;

const HARDWARE_WORDS =
  /^(hw:(numa_|cpu_policy$|cpu_dedicated_mask$|cpu_thread_policy$|emulator_threads_policy$|mem_page_size$|pci_numa_affinity_policy$)|pci_passthrough:alias$)/;

/** The part of extra specs that speaks of hardware. */
export const hardwareWords = (extraSpecs: ExtraSpecs): Record<string, string> =>
  Object.fromEntries(Object.entries(extraSpecs).filter(([name]) => HARDWARE_WORDS.test(name)));

export const speaksOfHardware = (...flavors: readonly ExtraSpecs[]): boolean =>
  flavors.some(extraSpecs => Object.keys(hardwareWords(extraSpecs)).length > 0);

export function readGuestHardware(extraSpecs: ExtraSpecs, sizes: Sizes): GuestHardware {
  const dedicated = dedicatedVcpus(extraSpecs, sizes.vcpus);
  const pageSize = readPageSize(extraSpecs["hw:mem_page_size"]);
  const devicePolicy = oneOf<DevicePolicy>(extraSpecs, "hw:pci_numa_affinity_policy", [
    "required",
    "preferred",
    "legacy",
    "socket",
  ]);
  return {
    cells: readCells(extraSpecs, sizes, dedicated, pageSize !== undefined),
    ...readPolicies(extraSpecs, dedicated.length > 0),
    pageSize,
    devices: readDevices(extraSpecs["pci_passthrough:alias"] ?? "", devicePolicy),
  };
}

const invalid = (message: string, have: string, need: string): Fault =>
  new Fault("invalid-argument", message, { have, need, fix: "correct the flavor's extra specs" });

function oneOf<T extends string>(extraSpecs: ExtraSpecs, name: string, words: readonly T[]): T | undefined {
  const said = extraSpecs[name];
  const word = words.find(candidate => candidate === said);
  if (said !== undefined && word === undefined)
    throw invalid(`invalid value for ${name}`, said, words.join(" | "));
  return word;
}

function dedicatedVcpus(extraSpecs: ExtraSpecs, vcpus: number): readonly number[] {
  const policy = oneOf(extraSpecs, "hw:cpu_policy", ["shared", "dedicated", "mixed"] as const);
  const mask = extraSpecs["hw:cpu_dedicated_mask"];
  const all = [...Array(vcpus).keys()];
  if (mask === undefined) {
    if (policy === "mixed")
      throw invalid("a mixed CPU policy needs hw:cpu_dedicated_mask", "no mask", "hw:cpu_dedicated_mask");
    return policy === "dedicated" ? all : [];
  }
  if (policy !== "mixed")
    throw invalid("hw:cpu_dedicated_mask is for a mixed CPU policy", policy ?? "no policy", "mixed");
  const text = mask.trim().startsWith("^") ? `0-${vcpus - 1},${mask}` : mask;
  const chosen = parseCpuSet(text);
  if (
    chosen === undefined ||
    chosen.length === 0 ||
    chosen.length === vcpus ||
    chosen.some(id => id >= vcpus)
  )
    throw invalid("invalid hw:cpu_dedicated_mask", mask, `some but not all of vCPUs 0-${vcpus - 1}`);
  return chosen;
}

function readPolicies(
  extraSpecs: ExtraSpecs,
  isDedicated: boolean,
): { threadPolicy: ThreadPolicy; emulatorThreads: EmulatorThreads } {
  const threads = oneOf(extraSpecs, "hw:cpu_thread_policy", ["prefer", "isolate", "require"] as const);
  const emulator = oneOf(extraSpecs, "hw:emulator_threads_policy", ["isolate", "share"] as const);
  for (const [name, word] of [
    ["hw:cpu_thread_policy", threads],
    ["hw:emulator_threads_policy", emulator],
  ] as const) {
    if (word !== undefined && !isDedicated)
      throw invalid(
        `${name} needs dedicated CPUs`,
        extraSpecs["hw:cpu_policy"] ?? "no hw:cpu_policy",
        "hw:cpu_policy dedicated or mixed",
      );
  }
  return { threadPolicy: threads ?? "prefer", emulatorThreads: emulator ?? "float" };
}

const KIB_PER_UNIT: Readonly<Record<string, number>> = { "": 1, K: 1, M: 1024, G: 1024 ** 2 };
const SMALL_KIB = 4;

function readPageSize(text: string | undefined): PageSize | undefined {
  if (text === undefined) return undefined;
  if (text === "small" || text === "large" || text === "any") return text;
  const match = /^(\d{1,9}) ?([KMG]?)(?:i?B)?$/i.exec(text.trim());
  const sizeKib = Number(match?.[1] ?? 0) * (KIB_PER_UNIT[(match?.[2] ?? "").toUpperCase()] ?? 0);
  if (sizeKib <= 0) throw invalid("invalid hw:mem_page_size", text, "small, large, any, or a size in KiB");
  return sizeKib === SMALL_KIB ? "small" : sizeKib;
}

function readCells(
  extraSpecs: ExtraSpecs,
  { vcpus, ramMib }: Sizes,
  dedicated: readonly number[],
  hasPageSize: boolean,
): GuestCell[] {
  const told = extraSpecs["hw:numa_nodes"];
  if (told === undefined) refuseStray(extraSpecs, 0);
  if (told === undefined && dedicated.length === 0 && !hasPageSize) return [];
  const count = told === undefined ? 1 : Number(told);
  if (!Number.isInteger(count) || count < 1 || count > Math.min(vcpus, CELLS_MOST))
    throw invalid("invalid hw:numa_nodes", told ?? "", `1 to ${Math.min(vcpus, CELLS_MOST)}`);
  refuseStray(extraSpecs, count);
  const isTold = Object.keys(extraSpecs).some(name => /^hw:numa_(cpus|mem)\./.test(name));
  const cells = isTold ? toldCells(extraSpecs, count) : evenCells(count, vcpus, ramMib);
  requireWhole(cells, vcpus, ramMib);
  return cells.map(cell => ({
    vcpus: cell.vcpus,
    dedicated: cell.vcpus.filter(id => dedicated.includes(id)),
    memoryKib: cell.memoryMib * KIB_PER_MIB,
  }));
}

interface ToldCell {
  readonly vcpus: readonly number[];
  readonly memoryMib: number;
}

/** A cell beyond `hw:numa_nodes` would be passed over in silence. */
function refuseStray(extraSpecs: ExtraSpecs, count: number): void {
  const stray = Object.keys(extraSpecs).find(name => {
    const number = /^hw:numa_(?:cpus|mem)\.(.*)$/.exec(name)?.[1];
    return number !== undefined && !(/^\d+$/.test(number) && Number(number) < count);
  });
  if (stray !== undefined)
    throw invalid(
      `${stray} names no cell of the guest`,
      stray,
      `hw:numa_nodes that covers it (${count} now)`,
    );
}

function evenCells(count: number, vcpus: number, ramMib: number): ToldCell[] {
  if (vcpus % count !== 0 || ramMib % count !== 0)
    throw invalid(
      "Instance CPUs and/or memory cannot be evenly distributed across instance NUMA nodes. Explicit assignment of CPUs and memory to nodes is required",
      `${vcpus} vCPUs and ${ramMib} MiB for ${count} cells`,
      "hw:numa_cpus.N and hw:numa_mem.N",
    );
  const each = vcpus / count;
  return [...Array(count).keys()].map(cell => ({
    vcpus: [...Array(each).keys()].map(index => cell * each + index),
    memoryMib: ramMib / count,
  }));
}

function toldCells(extraSpecs: ExtraSpecs, count: number): ToldCell[] {
  return [...Array(count).keys()].map(cell => {
    const vcpus = parseCpuSet(extraSpecs[`hw:numa_cpus.${cell}`] ?? "");
    const memoryMib = Number(extraSpecs[`hw:numa_mem.${cell}`] ?? Number.NaN);
    if (vcpus === undefined || vcpus.length === 0 || !Number.isInteger(memoryMib) || memoryMib <= 0)
      throw invalid(
        "CPU and memory allocation must be provided for all NUMA nodes",
        `hw:numa_cpus.${cell} and hw:numa_mem.${cell} of ${count} cells`,
        "both, for each cell",
      );
    return { vcpus, memoryMib };
  });
}

function requireWhole(cells: readonly ToldCell[], vcpus: number, ramMib: number): void {
  const numbers = cells.flatMap(cell => cell.vcpus);
  const isWhole =
    numbers.length === vcpus && new Set(numbers).size === vcpus && numbers.every(id => id < vcpus);
  if (!isWhole)
    throw invalid("the cells do not have each vCPU once", numbers.join(","), `each of 0-${vcpus - 1} once`);
  const memoryMib = cells.reduce((sum, cell) => sum + cell.memoryMib, 0);
  if (memoryMib !== ramMib)
    throw invalid("the cells do not have the flavor's memory", `${memoryMib} MiB`, `${ramMib} MiB`);
}

function readDevices(text: string, policy: DevicePolicy | undefined): DeviceRequest[] {
  const parts = text.split(",").map(part => part.trim());
  const requests = parts
    .filter(part => part !== "")
    .flatMap(part => {
      const match = /^([A-Za-z0-9_.-]+):(\d{1,3})$/.exec(part);
      const count = Number(match?.[2] ?? 0);
      if (match?.[1] === undefined || count < 1)
        throw invalid("invalid pci_passthrough:alias", part, "NAME:COUNT, separated by commas");
      return Array.from({ length: count }, () => ({ alias: match[1] ?? "", policy }));
    });
  if (requests.length > DEVICES_MOST)
    throw invalid("too many devices", `${requests.length}`, `at most ${DEVICES_MOST}`);
  return requests;
}
