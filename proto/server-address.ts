/** `host:port` as people write it: `ctl:7400`, `10.0.0.1`, `[fd00::1]:7401`. */

import { Fault } from "./fault.js";

export interface ServerAddress {
  /** Name or IP address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** The controller's gRPC port when an address names none. */
export const CONTROLLER_PORT = 7400;

export function parseServerAddress(text: string, defaultPort: number): ServerAddress {
  const match = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:[\]/]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (host === undefined || port > 65_535) {
    throw new Fault("invalid-argument", `${JSON.stringify(text)} is not an address`, {
      need: "host:port, or [ipv6]:port",
    });
  }
  return { host, port };
}

export function formatServerAddress({ host, port }: ServerAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
