/**
 * Names of bridges and libvirt networks that differ from host to host, as a person gives them with a move:
 *
 *   bridge:br0 → br1        on whichever target
 *   h2/bridge:br0 → br1     on h2 only, where it goes before the other
 *
 * What differs always is in the agents' own `network_map`, which knows each host's name for what others call otherwise.
 */

import { Fault } from "../../proto/fault.js";

export type NetworkMap = Readonly<Record<string, string>>;

const KEY = /^(?:(?<host>[a-zA-Z0-9._-]+)\/)?(?<name>(?:bridge|network):[^/]+)$/;

/** Refuses what could not mean anything. */
export function checkedNetworkMap(map: NetworkMap): NetworkMap {
  for (const [key, name] of Object.entries(map)) {
    if (KEY.test(key) && name !== "") continue;
    throw new Fault("invalid-argument", `${key}=${name} is no mapping of a network`, {
      need: "bridge:NAME=NAME or network:NAME=NAME, with HOST/ before it for one host",
    });
  }
  return map;
}

/** What of it counts on one target, by `bridge:NAME` or `network:NAME`. */
export function networkMapOn(map: NetworkMap, target: string): Record<string, string> {
  const entries = Object.entries(map).map(([key, name]) => ({ ...KEY.exec(key)?.groups, to: name }) as Entry);
  const general = entries.filter(({ host }) => host === undefined);
  const special = entries.filter(({ host }) => host === target);
  return Object.fromEntries([...general, ...special].map(({ name, to }) => [name, to]));
}

interface Entry {
  readonly host: string | undefined;
  readonly name: string;
  readonly to: string;
}
