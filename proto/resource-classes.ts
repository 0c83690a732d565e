/**
 * Names of what a host can have booked, in Placement's words: Nova's own classes, and `CUSTOM_…` for what Nova leaves
 * without one. Agents offer by these names, and flavors are booked by them.
 *
 *   CUSTOM_HUGEPAGES_2MB    pages of that size, of all cells
 *   CUSTOM_PCI_GPU          devices that are given by the alias "gpu"
 */

const KIB_PER_MIB = 1024;
const KIB_PER_GIB = KIB_PER_MIB ** 2;

export function hugePagesClass(sizeKib: number): string {
  if (sizeKib % KIB_PER_GIB === 0) return `CUSTOM_HUGEPAGES_${sizeKib / KIB_PER_GIB}GB`;
  if (sizeKib % KIB_PER_MIB === 0) return `CUSTOM_HUGEPAGES_${sizeKib / KIB_PER_MIB}MB`;
  return `CUSTOM_HUGEPAGES_${sizeKib}KB`;
}

/** Aliases that differ in nothing but signs are one class. */
export const deviceClass = (alias: string): string =>
  `CUSTOM_PCI_${alias.toUpperCase().replaceAll(/[^A-Z0-9_]/g, "_")}`;

export const RESOURCE_CLASS = /^[A-Z][A-Z0-9_]{0,254}$/;
export const CUSTOM_CLASS = /^CUSTOM_[A-Z0-9_]{1,248}$/;
