/** What this host's networks have left to guarantee to the ports of an arriving server. */

import type { PortBandwidth } from "../constraint/port-bandwidth.js";
import { readDomain } from "../domain/domain-xml.js";
import { guaranteedKibps } from "../domain/port-bandwidth.js";
import type { World } from "./verb.js";

export async function portBandwidths(
  domainXml: string,
  serverId: string,
  { hypervisor, config }: World,
): Promise<PortBandwidth[]> {
  const needed = guaranteedKibps(readDomain(domainXml));
  if (needed.size === 0) return [];
  const others = (await hypervisor.listDomains()).filter(({ uuid }) => uuid !== serverId);
  const given = await Promise.all(
    others.map(async ({ uuid }) => guaranteedKibps(readDomain(await hypervisor.domainXml(uuid, "inactive")))),
  );
  return [...needed].map(([network, neededKibps]) => {
    const capacity = config.port_bandwidth[network];
    const taken = given.reduce((sum, guest) => sum + (guest.get(network) ?? 0), 0);
    const leftKibps = capacity === undefined ? undefined : Math.max(0, capacity - taken);
    return { network, neededKibps, leftKibps };
  });
}
