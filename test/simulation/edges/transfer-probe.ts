/** Stands for `agent/transfer/probe-path.ts`: is the data port there, and does it let this source in? */

import type { PathProbe, ProbeRequest } from "../../../agent/transfer/probe-path.js";
import { asFault } from "../../../proto/fault.js";
import { stepNow } from "../world/process.js";
import { exchange } from "./data-connection.js";

export type * from "../../../agent/transfer/probe-path.js";

export async function probePath(request: ProbeRequest): Promise<PathProbe> {
  const { machine } = stepNow();
  const { migrationId, serverId, epoch, token, expectHost } = request;
  const greeting = {
    purpose: "probe" as const,
    migrationId,
    serverId,
    epoch,
    token,
    host: machine.name,
    attempt: "",
  };
  const startedMs = machine.world.time.nowMs;
  try {
    await exchange(request, 1_000, listener => void listener.admit(greeting));
  } catch (thrown) {
    throw asFault(thrown).during(`probe the transfer path to ${expectHost}`);
  }
  const roundTripMs = machine.world.time.nowMs - startedMs;
  return { roundTripMs, sendBytesPerSecond: 1e8, receiveBytesPerSecond: 1e8 };
}
