/**
 * Is the path to a target's data port there, and how fast is it? Asked before the guest is stopped.
 *
 * Same port, certificates and token as the transfer will use. Round trips of an empty frame, then a burst in each
 * direction; throughput is that of the slower one. It is an estimate: a few MiB do not fill a long fat pipe.
 */

import { randomBytes } from "node:crypto";
import { asFault } from "../../proto/fault.js";
import type { Engine } from "../os/engine.js";
import { type Destination, dial } from "./channel.js";
import { Link } from "./link.js";
import { encodeHello, type HelloClaims } from "./messages.js";
import { encodeLength, LEAF_BYTES } from "./protocol.js";

export interface ProbeRequest extends Destination {
  readonly engine: Engine;
  readonly migrationId: string;
  readonly serverId: string;
  readonly epoch: number;
  readonly token: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface PathProbe {
  /** Median of the round trips. */
  readonly roundTripMs: number;
  readonly sendBytesPerSecond: number;
  readonly receiveBytesPerSecond: number;
}

const ROUND_TRIPS = 5;
const BURST_LEAVES = 8;
const BURST_BYTES = BURST_LEAVES * LEAF_BYTES;
const TIMEOUT_MS = 10_000;

/** Rejects with the fault that a transfer would meet: wrong host, wrong token, unreachable, timeout. */
export async function probePath(request: ProbeRequest): Promise<PathProbe> {
  const timeoutMs = request.timeoutMs ?? TIMEOUT_MS;
  const signal = request.signal ?? new AbortController().signal;
  let link: Link | undefined;
  const cancel = () => link?.drop(asFault(signal.reason));
  signal.addEventListener("abort", cancel, { once: true });
  try {
    const connection = await dial(request.engine, request, timeoutMs, signal);
    link = new Link(connection, { peer: request.expectHost, idleMs: timeoutMs });
    const { migrationId, serverId, epoch, token } = request;
    const claims: HelloClaims = {
      purpose: "probe",
      migrationId,
      serverId,
      epoch,
      attempt: randomBytes(16).toString("hex"),
      connection: 0,
      files: [],
      algorithms: [],
      compressions: [],
    };
    await link.send("hello", {}, encodeHello(claims, token, await link.channelBinding()));
    await link.expect("welcome");
    return await measure(link);
  } catch (thrown) {
    throw asFault(thrown).during(`probe the transfer path to ${request.expectHost}`);
  } finally {
    signal.removeEventListener("abort", cancel);
    link?.close();
  }
}

async function measure(link: Link): Promise<PathProbe> {
  const trips: number[] = [];
  for (let trip = 0; trip < ROUND_TRIPS; trip += 1) trips.push(await roundTrip(link));
  const roundTripMs = trips.sort((a, b) => a - b)[Math.floor(ROUND_TRIPS / 2)] ?? 0;

  const payload = randomBytes(LEAF_BYTES);
  const sendStartedMs = performance.now();
  for (let leaf = 0; leaf < BURST_LEAVES; leaf += 1) await link.send("burst", {}, payload);
  await roundTrip(link);
  const receiveStartedMs = performance.now();
  await link.send("seal", {}, encodeLength(BURST_BYTES));
  for (let leaf = 0; leaf < BURST_LEAVES; leaf += 1) await link.expect("burst");
  const endedMs = performance.now();
  return {
    roundTripMs,
    sendBytesPerSecond: rateOf(receiveStartedMs - sendStartedMs - roundTripMs),
    receiveBytesPerSecond: rateOf(endedMs - receiveStartedMs - roundTripMs),
  };
}

async function roundTrip(link: Link): Promise<number> {
  const startedMs = performance.now();
  await link.send("echo");
  await link.expect("echo");
  return performance.now() - startedMs;
}

const rateOf = (elapsedMs: number): number => Math.round((BURST_BYTES * 1000) / Math.max(elapsedMs, 0.1));
