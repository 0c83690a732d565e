/**
 * What a definition asks of the host that it runs on, beside paths, disks and networks: read from the domain as it will
 * be defined there, so that a check judges the very machine that will be started.
 */

import { parseCpuSet, parseRangeList } from "../../proto/range-list.js";
import { assignedElements } from "./assigned-devices.js";
import type { Domain } from "./domain-xml.js";
import { devicesOf } from "./domain-xml.js";
import { type CpuMode, cpuModeOf } from "./guest-cpu.js";
import { sizeKibOf } from "./size-kib.js";
import { attributeOf, childOf, childrenOf, type Element } from "./xml-document.js";

export interface HugePageNeed {
  /** Undefined: the host's default size. */
  readonly sizeKib: number | undefined;
  readonly memoryKib: number;
}

export interface FirmwareNeed {
  readonly automatic: "bios" | "efi" | undefined;
  readonly loaderPath: string | undefined;
  /** `<loader secure='yes'>`. */
  readonly secure: boolean;
  /** `<firmware><feature>`: name → whether it must be there or must not. */
  readonly features: ReadonlyMap<string, boolean>;
}

export interface GuestNeeds {
  readonly cpuMode: CpuMode;
  /** libvirt's own check at start: none | partial | full. */
  readonly cpuCheck: string;
  readonly vcpus: number;
  readonly memoryKib: number;
  readonly hugePages: readonly HugePageNeed[];
  /** Host cells that must give all of the memory; undefined: any. */
  readonly strictCells: readonly number[] | undefined;
  /** Host CPUs and cells that the definition names; undefined where a list does not read. */
  readonly hostCpus: readonly number[] | undefined;
  readonly hostCells: readonly number[] | undefined;
  /** anonymous | file | memfd; undefined: libvirt's default. */
  readonly memorySource: string | undefined;
  readonly firmware: FirmwareNeed;
  readonly tpm: { readonly backend: string; readonly version: string | undefined } | undefined;
  /** `bound`: it holds keys of one machine. */
  readonly launchSecurity: { readonly type: string; readonly bound: boolean } | undefined;
  /** What belongs to one host and no other can give, in words: "vGPU (mdev) …". */
  readonly assignedDevices: readonly string[];
  readonly sharedFolders: readonly string[];
  readonly persistentMemory: readonly string[];
  readonly securityModels: readonly string[];
}

export function guestNeeds(domain: Domain): GuestNeeds {
  const { root, cpu, vcpus, memoryKib } = domain;
  const backing = childOf(root, "memoryBacking");
  return {
    cpuMode: cpuModeOf(cpu),
    cpuCheck: attributeOf(cpu, "check") ?? "none",
    vcpus,
    memoryKib,
    hugePages: hugePagesOf(domain),
    strictCells: strictCellsOf(root),
    hostCpus: numbersIn(hostCpuLists(root)),
    hostCells: numbersIn(hostCellLists(root)),
    memorySource: attributeOf(backing && childOf(backing, "source"), "type"),
    firmware: firmwareOf(domain),
    tpm: tpmOf(root),
    launchSecurity: launchSecurityOf(root),
    assignedDevices: assignedDevicesOf(domain),
    sharedFolders: domain.filesystems.map(share => attributeOf(childOf(share, "target"), "dir") ?? "unnamed"),
    persistentMemory: devicesOf(root, "memory")
      .map(memory => attributeOf(memory, "model") ?? "")
      .filter(model => model === "nvdimm" || model.startsWith("virtio-pmem")),
    securityModels: childrenOf(root, "seclabel")
      .filter(label => attributeOf(label, "type") !== "none")
      .flatMap(label => attributeOf(label, "model") ?? []),
  };
}

/** How much of the guest's memory comes from huge pages. */
export const hugeMemoryKib = ({ hugePages }: GuestNeeds): number =>
  hugePages.reduce((sum, { memoryKib }) => sum + memoryKib, 0);

/** `<page nodeset>` means cells of the guest; a page without one serves all that no other names. */
function hugePagesOf({ root, cpu, memoryKib }: Domain): HugePageNeed[] {
  const element = childOf(root, "memoryBacking", "hugepages");
  if (element === undefined) return [];
  const pages = childrenOf(element, "page");
  if (pages.length === 0) return [{ sizeKib: undefined, memoryKib }];
  const cells = guestCells(cpu);
  const kibOf = (ids: readonly number[]) => ids.reduce((sum, id) => sum + (cells.get(id) ?? 0), 0);
  const named = new Set(pages.flatMap(page => parseRangeList(attributeOf(page, "nodeset") ?? "") ?? []));
  const restKib = memoryKib - kibOf([...named]);
  return pages.map(page => {
    const nodeset = attributeOf(page, "nodeset");
    const own = nodeset === undefined ? restKib : kibOf(parseRangeList(nodeset) ?? []);
    return { sizeKib: sizeKibOf(attributeOf(page, "size"), attributeOf(page, "unit")), memoryKib: own };
  });
}

function guestCells(cpu: Element | undefined): Map<number, number> {
  const numa = cpu && childOf(cpu, "numa");
  const cells = numa ? childrenOf(numa, "cell") : [];
  return new Map(
    cells.map((cell, index) => [
      Number(attributeOf(cell, "id") ?? index),
      sizeKibOf(attributeOf(cell, "memory"), attributeOf(cell, "unit")) ?? 0,
    ]),
  );
}

function strictCellsOf(root: Element): number[] | undefined {
  const memory = childOf(root, "numatune", "memory");
  const nodeset = attributeOf(memory, "nodeset");
  const mode = attributeOf(memory, "mode") ?? "strict";
  return nodeset !== undefined && mode === "strict" ? parseRangeList(nodeset) : undefined;
}

const PINS: readonly string[] = ["vcpupin", "emulatorpin", "iothreadpin"];

/** `^3` takes a CPU out of a list; what remains is what must be there. */
function hostCpuLists(root: Element): string[] {
  const tune = childOf(root, "cputune");
  const pins = tune ? childrenOf(tune).filter(({ nodeName }) => PINS.includes(nodeName)) : [];
  return [childOf(root, "vcpu"), ...pins].flatMap(element => attributeOf(element, "cpuset") ?? []);
}

function hostCellLists(root: Element): string[] {
  const tune = childOf(root, "numatune");
  return tune ? childrenOf(tune).flatMap(element => attributeOf(element, "nodeset") ?? []) : [];
}

function numbersIn(lists: readonly string[]): number[] | undefined {
  const found = lists.map(parseCpuSet);
  if (found.includes(undefined)) return undefined;
  return [...new Set(found.flatMap(numbers => numbers ?? []))].sort((a, b) => a - b);
}

function firmwareOf({ root, firmware }: Domain): FirmwareNeed {
  const features = childOf(root, "os", "firmware");
  return {
    automatic: firmware.automatic,
    loaderPath: firmware.loaderPath,
    secure: attributeOf(childOf(root, "os", "loader"), "secure") === "yes",
    features: new Map(
      (features ? childrenOf(features, "feature") : []).map(feature => [
        attributeOf(feature, "name") ?? "",
        attributeOf(feature, "enabled") === "yes",
      ]),
    ),
  };
}

function tpmOf(root: Element): GuestNeeds["tpm"] {
  const backend = childOf(root, "devices", "tpm", "backend");
  if (backend === undefined) return undefined;
  return { backend: attributeOf(backend, "type") ?? "", version: attributeOf(backend, "version") };
}

function launchSecurityOf(root: Element): GuestNeeds["launchSecurity"] {
  const element = childOf(root, "launchSecurity");
  if (element === undefined) return undefined;
  const keys = [childOf(element, "dhCert"), childOf(element, "session")];
  return { type: attributeOf(element, "type") ?? "", bound: keys.some(key => key !== undefined) };
}

/** Besides PCI devices, which the target gives anew. */
function assignedDevicesOf({ root, hostdevs, interfaces }: Domain): string[] {
  const assigned = assignedElements(root).map(({ element }) => element);
  const devices = hostdevs
    .filter(device => !assigned.includes(device))
    .map(device => {
      const type = attributeOf(device, "type") ?? "unknown";
      const address = childOf(device, "source", "address");
      if (type === "mdev") return `vGPU (mdev ${attributeOf(address, "uuid") ?? "?"})`;
      const place = ["domain", "bus", "slot", "function"].map(name => attributeOf(address, name) ?? "");
      return `${type} device ${place.filter(part => part !== "").join(":")}`.trim();
    });
  const ports = interfaces
    .filter(({ type }) => type === "vdpa")
    .map(({ type, mac }) => `${type} interface ${mac ?? ""}`.trim());
  return [...devices, ...ports];
}
