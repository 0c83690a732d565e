/** What a guest writes to of a disk is file 0 of its chain, in manifests, plans, fence records and receipts alike: "vda/0". */
export const activeLayerOf = (targetDev: string): string => `${targetDev}/0`;
