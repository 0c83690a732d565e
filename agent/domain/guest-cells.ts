/** The NUMA cells that a guest sees: `<cpu><numa>`; without it one cell with everything. */

import { parseCpuSet } from "../../proto/range-list.js";
import type { Domain } from "./domain-xml.js";
import { sizeKibOf } from "./size-kib.js";
import { attributeOf, childOf, childrenOf } from "./xml-document.js";

export interface GuestCellXml {
  readonly id: number;
  readonly vcpus: readonly number[];
  readonly memoryKib: number;
}

export const hasGuestCells = ({ cpu }: Pick<Domain, "cpu">): boolean =>
  cpu !== undefined && childOf(cpu, "numa") !== undefined;

export function guestCells({
  cpu,
  vcpus,
  memoryKib,
}: Pick<Domain, "cpu" | "vcpus" | "memoryKib">): GuestCellXml[] {
  const numa = cpu && childOf(cpu, "numa");
  if (numa === undefined) return [{ id: 0, vcpus: [...Array(vcpus).keys()], memoryKib }];
  return childrenOf(numa, "cell").map((cell, index) => ({
    id: Number(attributeOf(cell, "id") ?? index),
    vcpus: parseCpuSet(attributeOf(cell, "cpus") ?? "") ?? [],
    memoryKib: sizeKibOf(attributeOf(cell, "memory"), attributeOf(cell, "unit")) ?? 0,
  }));
}
