/**
 * What a definition asks of hardware, in a flavor's words: how a domain that no flavor made (or whose flavor says
 * nothing) is asked for on another host. Host CPUs and cells by number are no part of it; that there are some is.
 */

import { formatRangeList, parseCpuSet } from "../../proto/range-list.js";
import type { Domain } from "./domain-xml.js";
import { guestCells, hasGuestCells } from "./guest-cells.js";
import { sizeKibOf } from "./size-kib.js";
import { attributeOf, childOf, childrenOf, type Element } from "./xml-document.js";

export function hardwareWordsOf(domain: Domain): Record<string, string> {
  const dedicated = dedicatedVcpus(domain.root);
  const pageSize = pageSizeOf(domain.root);
  return {
    ...cellWords(domain),
    ...(dedicated.length === 0 ? {} : cpuWords(domain, dedicated)),
    ...(pageSize === undefined ? {} : { "hw:mem_page_size": pageSize }),
  };
}

function cellWords(domain: Domain): Record<string, string> {
  if (!hasGuestCells(domain)) return isBound(domain.root) ? { "hw:numa_nodes": "1" } : {};
  const cells = guestCells(domain);
  return Object.fromEntries([
    ["hw:numa_nodes", String(cells.length)],
    ...cells.flatMap(({ vcpus, memoryKib }, index) => [
      [`hw:numa_cpus.${index}`, formatRangeList(vcpus)],
      [`hw:numa_mem.${index}`, String(Math.ceil(memoryKib / 1024))],
    ]),
  ]);
}

/** To CPUs or cells of the host, by something that is not a wish only. */
const isBound = (root: Element): boolean =>
  pinsOf(root).length > 0 ||
  (attributeOf(childOf(root, "numatune", "memory"), "mode") === "strict" &&
    attributeOf(childOf(root, "numatune", "memory"), "nodeset") !== undefined);

function pinsOf(root: Element): Element[] {
  const tune = childOf(root, "cputune");
  return tune ? childrenOf(tune, "vcpupin") : [];
}

const cpusOf = (pin: Element): number[] => parseCpuSet(attributeOf(pin, "cpuset") ?? "") ?? [];

const dedicatedVcpus = (root: Element): number[] =>
  pinsOf(root)
    .filter(pin => cpusOf(pin).length === 1)
    .map(pin => Number(attributeOf(pin, "vcpu")));

function cpuWords({ root, vcpus }: Domain, dedicated: readonly number[]): Record<string, string> {
  const emulator = emulatorWord(root);
  return {
    ...(dedicated.length === vcpus
      ? { "hw:cpu_policy": "dedicated" }
      : { "hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": formatRangeList(dedicated) }),
    ...(emulator === undefined ? {} : { "hw:emulator_threads_policy": emulator }),
  };
}

function emulatorWord(root: Element): "isolate" | "share" | undefined {
  const pin = childOf(root, "cputune", "emulatorpin");
  if (pin === undefined) return undefined;
  const own = cpusOf(pin);
  const ofVcpus = pinsOf(root).flatMap(cpusOf);
  if (own.length === 0 || own.some(cpu => ofVcpus.includes(cpu))) return undefined;
  return own.length === 1 ? "isolate" : "share";
}

/** The first size that is named; pages without a size are whatever the host has. */
function pageSizeOf(root: Element): string | undefined {
  const element = childOf(root, "memoryBacking", "hugepages");
  if (element === undefined) return undefined;
  const [page] = childrenOf(element, "page");
  const sizeKib = page && sizeKibOf(attributeOf(page, "size"), attributeOf(page, "unit"));
  return sizeKib === undefined ? "large" : String(sizeKib);
}
