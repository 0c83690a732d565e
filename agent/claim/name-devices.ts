/** What a host calls the devices that one of its guests has, so that another host can be asked for the like. Pure. */

import type { AssignedDevice } from "../../proto/gen/ferry/v1/agent.js";
import type { PciDevice } from "../../proto/gen/ferry/v1/host.js";
import type { PciAlias } from "../config.js";
import type { AssignedElement } from "../domain/assigned-devices.js";
import { aliasesOf } from "./offered-devices.js";

/** Undefined where no alias of this host names the device. */
export function nameDevice(
  { kind, place }: AssignedElement,
  devices: readonly PciDevice[],
  aliases: readonly PciAlias[],
): AssignedDevice | undefined {
  const device = devices.find(({ address, networkInterfaces }) =>
    kind === "macvtap" ? networkInterfaces.includes(place) : address === place,
  );
  if (device === undefined) return undefined;
  const isPort = (alias: string) => alias.startsWith("network/");
  const alias = Object.keys(aliasesOf(device, aliases))
    .sort()
    .find(candidate => isPort(candidate) === (kind !== "hostdev"));
  return alias === undefined ? undefined : { address: device.address, alias };
}
