/**
 * The questions of `ferry server check`: what prepare-source and prepare-target would answer, with nothing booked or
 * journalled (digests of base images excepted, which are remembered), and how fast the path between both hosts is.
 */

import { randomUUID } from "node:crypto";
import { Fault } from "../proto/fault.js";
import type {
  CheckTargetRequest,
  CheckTargetResponse,
  DescribeSourceRequest,
  DescribeSourceResponse,
  MeasurePathRequest,
  MeasurePathResponse,
} from "../proto/gen/ferry/v1/agent.js";
import { createToken } from "./transfer/messages.js";
import { checkHost } from "./verbs/examine-target.js";
import { describeSource } from "./verbs/prepare-source.js";
import { measuredPath } from "./verbs/probe-transfer.js";
import type { Call, World } from "./verbs/verb.js";

/** A measurement that was admitted must begin within this. */
const OFFER_LIFE_MS = 60_000;

export async function describeSourceNow(
  { serverId, readOnlyDrives, blockDisks }: DescribeSourceRequest,
  signal: AbortSignal,
  world: World,
): Promise<DescribeSourceResponse> {
  const { manifest, refusals } = await describeSource(
    { readOnlyDrives, blockDisks },
    question({ serverId, signal }),
    world,
  );
  return { manifest, refusals: [...refusals] };
}

export async function checkTarget(
  { serverId, epoch, prepare }: CheckTargetRequest,
  signal: AbortSignal,
  world: World,
): Promise<CheckTargetResponse> {
  if (prepare === undefined) throw new Fault("invalid-argument", "a check needs what would be prepared");
  const checkId = `check-${randomUUID()}`;
  const call = question({ serverId, signal, migrationId: checkId, epoch });
  const checks = await checkHost(prepare, call, world);
  const token = createToken();
  const { sourceHost } = prepare;
  const withdraw = world.transfer.admitProbe({ migrationId: checkId, serverId, epoch, sourceHost, token });
  setTimeout(withdraw, OFFER_LIFE_MS).unref();
  const { migration_address: dataAddress, data_port: dataPort } = world.config;
  return { checks, offer: { checkId, dataAddress, dataPort, token } };
}

export async function measurePath(
  { serverId, epoch, targetHost, offer }: MeasurePathRequest,
  signal: AbortSignal,
  world: World,
): Promise<MeasurePathResponse> {
  if (offer === undefined) throw new Fault("invalid-argument", "a measurement needs the target's offer");
  const call = question({ serverId, signal, migrationId: offer.checkId, epoch });
  return { probe: await measuredPath(offer, targetHost, call, world) };
}

/** A call that is no operation: it has no key, and nobody follows what it notes. */
const question = (
  parts: Pick<Call, "serverId" | "signal"> & Partial<Pick<Call, "migrationId" | "epoch">>,
): Call => ({
  key: "",
  migrationId: "",
  epoch: 0,
  note: () => undefined,
  progress: () => undefined,
  ...parts,
});
