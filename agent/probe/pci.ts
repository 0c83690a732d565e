/**
 * PCI devices from /sys/bus/pci: identity, driver, place (NUMA cell, IOMMU group) and SR-IOV relations.
 */

import type { PciDevice } from "../../proto/gen/ferry/v1/host.js";
import { parseCount, parseKnownCount } from "./number-text.js";
import type { Tree } from "./tree.js";

const DEVICES = "bus/pci/devices";

/** Four hexadecimal digits of domain (more on some platforms), then bus, slot and function. */
const ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** Sorted by address. A host without a PCI bus has none. */
export async function readPciDevices(sys: Tree): Promise<PciDevice[]> {
  const addresses = await sys.optionalNames(DEVICES);
  return Promise.all(addresses.filter(name => ADDRESS.test(name)).map(address => readDevice(sys, address)));
}

async function readDevice(sys: Tree, address: string): Promise<PciDevice> {
  const device = `${DEVICES}/${address}`;
  const [numaNode, driver, iommuGroup, physicalFunction] = await Promise.all([
    sys.optionalValue(`${device}/numa_node`, parseKnownCount),
    sys.linkName(`${device}/driver`),
    sys.linkValue(`${device}/iommu_group`, parseCount),
    sys.linkName(`${device}/physfn`),
  ]);
  return {
    address,
    ...(await readIdentity(sys, device)),
    driver,
    numaCell: numaNode === "unknown" ? undefined : numaNode,
    iommuGroup,
    physicalFunction,
    ...(await readVirtualFunctions(sys, device)),
    networkInterfaces: await sys.optionalNames(`${device}/net`),
  };
}

async function readIdentity(sys: Tree, device: string) {
  const [classCode, vendorId, deviceId, subsystemVendorId, subsystemDeviceId] = await Promise.all([
    sys.value(`${device}/class`, parseHex(6)),
    sys.value(`${device}/vendor`, parseHex(4)),
    sys.value(`${device}/device`, parseHex(4)),
    sys.value(`${device}/subsystem_vendor`, parseHex(4)),
    sys.value(`${device}/subsystem_device`, parseHex(4)),
  ]);
  return { class: classCode, vendorId, deviceId, subsystemVendorId, subsystemDeviceId };
}

/** `0x` and exactly so many digits. */
const parseHex = (digits: number) => {
  const form = new RegExp(`^0x([0-9a-f]{${digits}})$`);
  return (text: string): string | undefined => form.exec(text.trim().toLowerCase())?.[1];
};

async function readVirtualFunctions(sys: Tree, device: string) {
  const virtualFunctionsMax = await sys.optionalValue(`${device}/sriov_totalvfs`, parseCount);
  if (virtualFunctionsMax === undefined) {
    return { virtualFunctionsMax, virtualFunctionsEnabled: undefined, virtualFunctions: [] };
  }
  const [virtualFunctionsEnabled, names] = await Promise.all([
    sys.value(`${device}/sriov_numvfs`, parseCount),
    sys.names(device),
  ]);
  const numbers = names.flatMap(name => parseCount(/^virtfn(\d+)$/.exec(name)?.[1] ?? "") ?? []);
  const links = numbers.sort((a, b) => a - b).map(number => sys.linkName(`${device}/virtfn${number}`));
  const virtualFunctions = (await Promise.all(links)).filter(address => address !== undefined);
  return { virtualFunctionsMax, virtualFunctionsEnabled, virtualFunctions };
}
