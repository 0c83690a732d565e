/**
 * The same machine, written for another host (or as another incarnation on the same one).
 *
 * Uuid, name, MACs, aliases, machine type, serials and every element that Ferry does not know stay as they are. What
 * changes is exactly what the mapping names (paths, networks, and the sizes of a resize), plus Ferry's mark. Every host path must be mapped, to itself if it is
 * the same on the target: one that is not is refused, so that no path of the source is followed by accident.
 */

import { Fault } from "../../proto/fault.js";
import { devicesOf, parseDomain } from "./domain-xml.js";
import { type Incarnation, writeIncarnation } from "./ferry-metadata.js";
import { type HostPath, hostPaths } from "./host-paths.js";
import { type DomainSizes, resizeDomain } from "./resize-domain.js";
import { type HardwareToWrite, writeHardware } from "./write-hardware.js";
import { attributeOf, childOf, type Element, serializeXml } from "./xml-document.js";

export interface TargetMapping {
  /** Target device (`vda`) → path of the disk on the target. */
  readonly disks: ReadonlyMap<string, string>;
  /** Target device → format, of disks that are one file of another format on the target; absent: none. */
  readonly formats?: ReadonlyMap<string, string>;
  /** Target devices of disks on block devices that are files on the target; absent: none. */
  readonly becomeFiles?: ReadonlySet<string>;
  readonly emulator?: string;
  readonly nvramPath?: string;
  /** Every other path on the source → its path on the target: kernels, loaders, logs, sockets, backing files, devices. */
  readonly paths: ReadonlyMap<string, string>;
  /** Listen address → listen address. Those that are the same on every host need no entry. */
  readonly listenAddresses: ReadonlyMap<string, string>;
  /** Name → name; what is not named keeps its name (the target was checked to have it). */
  readonly networks: ReadonlyMap<string, string>;
  readonly bridges: ReadonlyMap<string, string>;
  /** A resize: the sizes that the machine gets; absent: those it has. */
  readonly sizes?: DomainSizes;
  /** Pins, cells, pages and devices of the target; absent: there are none for it, and it will be refused. */
  readonly hardware?: HardwareToWrite;
}

/** Paths that name the same thing on every Linux host. */
const SAME_EVERYWHERE: readonly string[] = ["/dev/urandom", "/dev/random", "/dev/null"];

/** Addresses of every host: loopback and "any". */
const LISTENS_EVERYWHERE = /^(127\.\d+\.\d+\.\d+|::1|localhost|0\.0\.0\.0|::|\*)$/;

/** Rewrites inactive XML. Fault("refused") names the first host path that the mapping does not cover. */
export function rewriteForTarget(
  inactiveXml: string,
  mapping: TargetMapping,
  incarnation: Incarnation,
): string {
  const { root, vcpus, memoryKib } = parseDomain(inactiveXml);
  if (mapping.sizes !== undefined) resizeDomain(root, { vcpus, memoryKib }, mapping.sizes);
  if (mapping.hardware !== undefined) writeHardware(root, mapping.hardware);
  for (const disk of devicesOf(root, "disk")) {
    rewriteType(disk, mapping);
    rewriteFormat(disk, mapping);
  }
  for (const path of hostPaths(root)) setHostPath(path, mappedPath(path, root, mapping));
  for (const nic of devicesOf(root, "interface")) rewriteNetwork(nic, mapping);
  writeIncarnation(root, incarnation);
  return serializeXml(root);
}

function mappedPath(hostPath: HostPath, root: Element, mapping: TargetMapping): string {
  const mapped = lookUp(hostPath, root, mapping);
  if (mapped !== undefined) return mapped;
  throw new Fault("refused", `${hostPath.place} names ${hostPath.path}, which has no place on the target`, {
    have: `${hostPath.class} ${hostPath.path}`,
    need: "a path on the target for every path of the source",
    fix: "remove it from the domain, or provide it on the target",
  });
}

function lookUp(hostPath: HostPath, root: Element, mapping: TargetMapping): string | undefined {
  const { path } = hostPath;
  switch (hostPath.class) {
    case "unknown":
      return undefined;
    case "listen":
      return mapping.listenAddresses.get(path) ?? (LISTENS_EVERYWHERE.test(path) ? path : undefined);
    case "emulator":
      return mapping.emulator ?? mapping.paths.get(path);
    case "nvram":
      return mapping.nvramPath ?? mapping.paths.get(path);
    case "disk": {
      const device = targetOfActiveLayer(hostPath.element, root);
      return (device && mapping.disks.get(device)) ?? mapping.paths.get(path);
    }
    default:
      return mapping.paths.get(path) ?? (SAME_EVERYWHERE.includes(path) ? path : undefined);
  }
}

/** The target device whose own source this is; undefined for a backing file. */
const targetOfActiveLayer = (source: Element, root: Element): string | undefined => {
  const disk = devicesOf(root, "disk").find(candidate => childOf(candidate, "source") === source);
  return disk && attributeOf(childOf(disk, "target"), "dev");
};

function setHostPath({ element, attribute, path }: HostPath, mapped: string): void {
  if (mapped === path) return;
  if (attribute === undefined) element.textContent = mapped;
  else element.setAttribute(attribute, mapped);
}

/** Everything else of the disk is as true of a file: bus, serial, boot order, caching. */
function rewriteType(disk: Element, { becomeFiles }: TargetMapping): void {
  const source = childOf(disk, "source");
  const path = attributeOf(source, "dev");
  const device = attributeOf(childOf(disk, "target"), "dev") ?? "";
  if (source === undefined || path === undefined || becomeFiles?.has(device) !== true) return;
  disk.setAttribute("type", "file");
  source.removeAttribute("dev");
  source.setAttribute("file", path);
}

/** Its backing files, where the definition names them, are not below it any more. */
function rewriteFormat(disk: Element, { formats }: TargetMapping): void {
  const format = formats?.get(attributeOf(childOf(disk, "target"), "dev") ?? "");
  if (format === undefined) return;
  childOf(disk, "driver")?.setAttribute("type", format);
  const backing = childOf(disk, "backingStore");
  if (backing !== undefined) disk.removeChild(backing);
}

function rewriteNetwork(nic: Element, { networks, bridges }: TargetMapping): void {
  const source = childOf(nic, "source");
  if (!source) return;
  for (const [attribute, names] of [
    ["network", networks],
    ["bridge", bridges],
  ] as const) {
    const mapped = names.get(attributeOf(source, attribute) ?? "");
    if (mapped !== undefined) source.setAttribute(attribute, mapped);
  }
}
