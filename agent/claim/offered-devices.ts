/**
 * PCI devices that a guest can be given now: named by an alias, alone in or with their whole IOMMU group, held by no
 * guest. Pure.
 *
 * A group belongs to one guest, as the kernel has it. Bridges to other buses do not count. A neighbour that no alias
 * names and a driver of the host holds makes the whole group useless; one that an alias names must go along.
 */

import type { FreeCell, FreeDevice, PciDevice } from "../../proto/gen/ferry/v1/host.js";
import type { PciAlias } from "../config.js";

export interface OfferedDevices {
  readonly devices: readonly FreeDevice[];
  /** One line for each device that an alias names and no guest can have. */
  readonly problems: readonly string[];
}

export function offeredDevices(
  devices: readonly PciDevice[],
  aliases: readonly PciAlias[],
  taken: readonly string[],
  cells: readonly FreeCell[],
): OfferedDevices {
  const named = new Map(devices.map(device => [device.address, aliasesOf(device, aliases)] as const));
  const isNamed = ({ address }: PciDevice) => Object.keys(named.get(address) ?? {}).length > 0;
  const found: FreeDevice[] = [];
  const problems: string[] = [];
  for (const device of devices.filter(isNamed)) {
    const { address, numaCell, physicalFunction } = device;
    const group = devices.filter(other => isNeighbour(device, other));
    const problem = problemOf(device, group, devices, taken, isNamed);
    if (problem !== undefined) {
      problems.push(`${address} (${Object.keys(named.get(address) ?? {}).join(", ")}): ${problem}`);
      continue;
    }
    found.push({
      address,
      aliases: named.get(address) ?? {},
      numaCell,
      socketIds: cells.find(({ id }) => id === numaCell)?.socketIds ?? [],
      physicalFunction: physicalFunction ?? "",
      companions: group.filter(isHeldByHost).map(other => other.address),
    });
  }
  return { devices: found, problems };
}

/** What names a device, each with its NUMA policy. */
export function aliasesOf(device: PciDevice, aliases: readonly PciAlias[]): Record<string, string> {
  if (isBridge(device)) return {};
  const matching = aliases.filter(alias => matches(device, alias));
  return Object.fromEntries(
    matching.flatMap(({ name, numa_policy, physical_network }) => [
      [name, numa_policy],
      ...(physical_network === undefined ? [] : [[`network/${physical_network}`, numa_policy]]),
    ]),
  );
}

function matches(device: PciDevice, alias: PciAlias): boolean {
  const { vendor_id, product_id, class: classCode, address, device_type } = alias;
  return (
    (vendor_id === undefined || vendor_id === device.vendorId) &&
    (product_id === undefined || product_id === device.deviceId) &&
    (classCode === undefined || device.class?.startsWith(classCode) === true) &&
    (device_type === undefined || device_type === typeOf(device)) &&
    (address === undefined ||
      [device.address, device.physicalFunction].some(one => one !== undefined && fitsPattern(one, address)))
  );
}

const typeOf = ({ physicalFunction, virtualFunctionsMax = 0 }: PciDevice): string => {
  if (physicalFunction !== undefined) return "type-VF";
  return virtualFunctionsMax > 0 ? "type-PF" : "type-PCI";
};

const fitsPattern = (address: string, pattern: string): boolean =>
  new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll("*", "[0-9a-f]*")}$`).test(address);

/** A bridge to another bus: its driver does no DMA of its own. */
const isBridge = ({ class: code = "" }: PciDevice): boolean =>
  code.startsWith("0604") || code.startsWith("0609");

const isNeighbour = (device: PciDevice, other: PciDevice): boolean =>
  other.address !== device.address &&
  other.iommuGroup === device.iommuGroup &&
  device.iommuGroup !== undefined &&
  !isBridge(other);

const PASSIVE_DRIVERS: readonly string[] = ["vfio-pci", "pci-stub"];

const isHeldByHost = ({ driver }: PciDevice): boolean =>
  driver !== undefined && !PASSIVE_DRIVERS.includes(driver);

function problemOf(
  device: PciDevice,
  group: readonly PciDevice[],
  all: readonly PciDevice[],
  taken: readonly string[],
  isNamed: (device: PciDevice) => boolean,
): string | undefined {
  if (device.iommuGroup === undefined)
    return "it has no IOMMU group (intel_iommu=on or amd_iommu=on on the host's kernel command line)";
  const related = all.filter(
    other => other.physicalFunction === device.address || other.address === device.physicalFunction,
  );
  const holder = [device, ...group, ...related].find(({ address }) => taken.includes(address));
  if (holder !== undefined)
    return holder === device
      ? "a guest has it"
      : `a guest has ${holder.address} of the same group or function`;
  const foreign = group.find(other => isHeldByHost(other) && !isNamed(other));
  if (foreign === undefined) return undefined;
  return `${foreign.address} of the same IOMMU group ${device.iommuGroup} is held by ${foreign.driver} on the host`;
}
