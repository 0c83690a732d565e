/** What a bridge or network is called from host to host. */

import { describe, expect, it } from "vitest";
import type { DomainInterface } from "../../../agent/domain/domain-xml.js";
import { fleetNames, mapNetworks } from "../../../agent/verbs/target-networks.js";
import { checkedNetworkMap, networkMapOn } from "../../../controller/migration/network-map.js";

const nic = (source: Partial<DomainInterface>): DomainInterface => source as DomainInterface;
const bridged = [nic({ bridge: "br1" }), nic({ network: "lan" }), nic({})];

describe("the names of a server's networks on its target", () => {
  const names = (sources: Partial<Parameters<typeof mapNetworks>[1]>) => {
    const { bridges, networks } = mapNetworks(bridged, { asked: {}, fleet: {}, own: {}, ...sources });
    return { ...Object.fromEntries(bridges), ...Object.fromEntries(networks) };
  };

  it("are the same unless somebody says otherwise", () => {
    expect(names({})).toEqual({ br1: "br1", lan: "lan" });
  });

  it("are what the target calls the fleet's networks", () => {
    expect(names({ own: { "bridge:br1": "br7", "network:lan": "office", "network:br1": "no" } })).toEqual({
      br1: "br7",
      lan: "office",
    });
  });

  it("go by way of what the fleet calls the source's", () => {
    const fleet = fleetNames(bridged, { "bridge:br0": "br1", "bridge:other": "br9" });
    expect(fleet).toEqual({ "bridge:br1": "br0" });
    expect(names({ fleet }).br1).toBe("br0");
    expect(names({ fleet, own: { "bridge:br0": "br5", "bridge:br1": "no" } }).br1).toBe("br5");
  });

  it("are those that a person asks for, whatever the hosts say", () => {
    const said = { fleet: { "bridge:br1": "br0" }, own: { "bridge:br0": "br5" } };
    expect(names({ ...said, asked: { "bridge:br1": "br3" } }).br1).toBe("br3");
  });
});

describe("a map of networks for one move", () => {
  const map = { "bridge:br0": "br1", "h2/bridge:br0": "br2", "h3/network:lan": "office" };

  it("counts on every target, and what names a host on that one first", () => {
    expect(networkMapOn(map, "h2")).toEqual({ "bridge:br0": "br2" });
    expect(networkMapOn(map, "h3")).toEqual({ "bridge:br0": "br1", "network:lan": "office" });
  });

  it.each([
    { br0: "br1" },
    { "bridge:": "br1" },
    { "bridge:br0": "" },
    { "h2/": "x" },
    { "a/b/bridge:br0": "br1" },
  ])("is refused when it says %j", wrong => {
    expect(() => checkedNetworkMap(wrong as unknown as Record<string, string>)).toThrow(
      /is no mapping of a network/,
    );
  });
});
