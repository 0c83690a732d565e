/** Bridges of the kernel, from /sys/class/net: what a guest's interface can be plugged into. */

import type { HostBridge } from "../../proto/gen/ferry/v1/host.js";
import { parseCount } from "./number-text.js";
import type { Tree } from "./tree.js";

const INTERFACES = "class/net";

/** IFF_UP of the kernel's interface flags. */
const UP = 1;

export async function readBridges(sys: Tree): Promise<HostBridge[]> {
  const names = await sys.names(INTERFACES);
  const bridges = await Promise.all(names.map(name => readBridge(sys, name)));
  return bridges.filter(bridge => bridge !== undefined);
}

async function readBridge(sys: Tree, name: string): Promise<HostBridge | undefined> {
  const path = `${INTERFACES}/${name}`;
  const isBridge = (await sys.optionalNames(`${path}/bridge`)).length > 0;
  if (!isBridge) return undefined;
  const [ports, mtuBytes, flags, macAddress] = await Promise.all([
    sys.names(`${path}/brif`),
    sys.value(`${path}/mtu`, parseCount),
    sys.value(`${path}/flags`, parseFlags),
    sys.text(`${path}/address`),
  ]);
  return { name, ports, mtuBytes, up: flags === undefined ? undefined : (flags & UP) !== 0, macAddress };
}

function parseFlags(text: string): number | undefined {
  return /^0x[0-9a-f]{1,8}$/.test(text) ? Number(text) : undefined;
}
