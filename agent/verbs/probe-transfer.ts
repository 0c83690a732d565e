/** probe-transfer, at the source: is the target's data port reached, by whom, how far away, how fast (prepare). */

import { Fault } from "../../proto/fault.js";
import type { ProbeTransfer, TargetPlan, TransferProbe } from "../../proto/gen/ferry/v1/agent.js";
import { probePath } from "../transfer/probe-path.js";
import { dialTarget } from "./dial-target.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const probeTransfer: Verb<ProbeTransfer> = async ({ plan, targetHost }, call, world) => {
  if (plan === undefined) throw new Fault("invalid-argument", "probe-transfer needs the target's plan");
  return result({ probe: await measuredPath(plan, targetHost, call, world) });
};

export async function measuredPath(
  { dataAddress, dataPort, token }: Pick<TargetPlan, "dataAddress" | "dataPort" | "token">,
  targetHost: string,
  { migrationId, serverId, epoch, signal }: Call,
  world: World,
): Promise<TransferProbe> {
  const measured = await probePath({
    engine: world.engine,
    address: dataAddress,
    port: dataPort,
    expectHost: targetHost,
    ...dialTarget(world),
    migrationId,
    serverId,
    epoch,
    token,
    signal,
  });
  return { roundTripMs: measured.roundTripMs, bytesPerSecond: Math.round(measured.sendBytesPerSecond) };
}
