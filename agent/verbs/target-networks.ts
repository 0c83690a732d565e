/** The bridges and networks that a domain needs here, and how names of the source map to names of the target. */

import { access } from "node:fs/promises";
import { join } from "node:path";
import { readDomain } from "../domain/domain-xml.js";
import type { World } from "./verb.js";

export interface NetworkNames {
  readonly bridges: ReadonlyMap<string, string>;
  readonly networks: ReadonlyMap<string, string>;
}

/** From `{"bridge:br0": "br1", "network:lan": "lan2"}`. */
export function mapNetworks(map: Readonly<Record<string, string>>): NetworkNames {
  const ofKind = (kind: string) =>
    new Map(
      Object.entries(map)
        .filter(([name]) => name.startsWith(`${kind}:`))
        .map(([name, target]) => [name.slice(kind.length + 1), target] as const),
    );
  return { bridges: ofKind("bridge"), networks: ofKind("network") };
}

/** "bridge br7", "network lan", "network lan (inactive)". */
export async function missingNetworks(domainXml: string, world: World): Promise<string[]> {
  const { interfaces } = readDomain(domainXml);
  const networks = new Map((await world.hypervisor.networks()).map(network => [network.name, network]));
  const missing = interfaces.map(async ({ bridge, network }) => {
    if (network !== undefined) {
      const known = networks.get(network);
      if (known === undefined) return [`network ${network}`];
      return known.active ? [] : [`network ${network} (inactive)`];
    }
    if (bridge !== undefined) return (await isBridge(bridge)) ? [] : [`bridge ${bridge}`];
    return [];
  });
  return [...new Set((await Promise.all(missing)).flat())];
}

const isBridge = (name: string): Promise<boolean> =>
  access(join("/sys/class/net", name, "bridge")).then(
    () => true,
    () => false,
  );
