/**
 * sd_notify without native code: Node has no datagram sockets of the unix kind, so systemd's own `systemd-notify`
 * speaks for the controller (the unit says NotifyAccess=all). It finds the socket in the environment itself.
 */

import { execFile } from "node:child_process";
import { promisify } from "node:util";

export const systemdNotify = (_socket: string, message: string): Promise<unknown> =>
  promisify(execFile)("systemd-notify", [message]);
