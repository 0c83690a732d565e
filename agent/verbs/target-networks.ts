/** The bridges and networks that a domain needs here, and how names of the source map to names of the target. */

import { access } from "node:fs/promises";
import { join } from "node:path";
import { type DomainInterface, readDomain } from "../domain/domain-xml.js";
import type { World } from "./verb.js";

export interface NetworkNames {
  readonly bridges: ReadonlyMap<string, string>;
  readonly networks: ReadonlyMap<string, string>;
}

type Names = Readonly<Record<string, string>>;

const keyOf = ({ bridge, network }: DomainInterface): string | undefined =>
  network === undefined ? bridge && `bridge:${bridge}` : `network:${network}`;

const nameIn = (key: string): string => key.slice(key.indexOf(":") + 1);

/** What the fleet calls the networks of a domain of this host, where that is not what this host calls them. */
export function fleetNames(interfaces: readonly DomainInterface[], own: Names): Record<string, string> {
  const used = new Set(interfaces.map(keyOf));
  const named = Object.entries(own).map(([fleetKey, name]) => {
    const kind = fleetKey.slice(0, fleetKey.indexOf(":"));
    return [`${kind}:${name}`, nameIn(fleetKey)] as const;
  });
  return Object.fromEntries(named.filter(([key]) => used.has(key)));
}

interface NameSources {
  /** As a person gave them. */
  readonly asked: Names;
  /** The source's answer: what the fleet calls its networks. */
  readonly fleet: Names;
  /** What this host calls the fleet's networks. */
  readonly own: Names;
}

/** From the source's names to this host's, for the interfaces of one domain. */
export function mapNetworks(
  interfaces: readonly DomainInterface[],
  { asked, fleet, own }: NameSources,
): NetworkNames {
  const names = { bridges: new Map<string, string>(), networks: new Map<string, string>() };
  for (const key of interfaces.flatMap(nic => keyOf(nic) ?? [])) {
    const kind = key.startsWith("bridge:") ? "bridge" : "network";
    const fleetName = fleet[key] ?? nameIn(key);
    const name = asked[key] ?? own[`${kind}:${fleetName}`] ?? fleetName;
    names[`${kind}s`].set(nameIn(key), name);
  }
  return names;
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
