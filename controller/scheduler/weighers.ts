/** How good a host is among those that pass: the most free room wins, each resource normalised as Nova does. */

import type { Host } from "../../proto/gen/ferry/v1/model.js";
import { freeOf } from "../placement/shortage.js";

interface Weigher {
  readonly name: string;
  readonly multiplier: number;
  readonly resourceClass: string;
}

const WEIGHERS: readonly Weigher[] = [
  { name: "RAMWeigher", multiplier: 1, resourceClass: "MEMORY_MB" },
  { name: "CPUWeigher", multiplier: 1, resourceClass: "VCPU" },
  { name: "DiskWeigher", multiplier: 1, resourceClass: "DISK_GB" },
];

/** Weight by host, among exactly these hosts. */
export function weigh(hosts: readonly Host[]): Map<string, number> {
  const weights = new Map(hosts.map(host => [host.name, 0]));
  for (const { multiplier, resourceClass } of WEIGHERS) {
    const free = hosts.map(host => freeIn(host, resourceClass));
    const [least, most] = [Math.min(...free), Math.max(...free)];
    hosts.forEach((host, index) => {
      const share = most === least ? 0 : ((free[index] ?? 0) - least) / (most - least);
      weights.set(host.name, (weights.get(host.name) ?? 0) + multiplier * share);
    });
  }
  return weights;
}

function freeIn(host: Host, resourceClass: string): number {
  const inventory = host.inventories.find(candidate => candidate.resourceClass === resourceClass);
  return inventory === undefined ? 0 : freeOf(inventory);
}
