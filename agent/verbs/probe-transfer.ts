/** probe-transfer, at the source: is the target's data port reached, by whom, how far away, how fast (prepare). */

import { Fault } from "../../proto/fault.js";
import type { ProbeTransfer } from "../../proto/gen/ferry/v1/agent.js";
import { probePath } from "../transfer/probe-path.js";
import { dialTls } from "./dial-tls.js";
import { result, type Verb } from "./verb.js";

export const probeTransfer: Verb<ProbeTransfer> = async ({ plan, targetHost }, call, world) => {
  if (plan === undefined) throw new Fault("invalid-argument", "probe-transfer needs the target's plan");
  const measured = await probePath({
    address: plan.dataAddress,
    port: plan.dataPort,
    expectHost: targetHost,
    tls: dialTls(world),
    migrationId: call.migrationId,
    serverId: call.serverId,
    epoch: call.epoch,
    token: plan.token,
    signal: call.signal,
  });
  return result({
    probe: { roundTripMs: measured.roundTripMs, bytesPerSecond: Math.round(measured.sendBytesPerSecond) },
  });
};
