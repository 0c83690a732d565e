/** Connections of clients that mean no good, the limits that tests set them, and what must be left of them: nothing. */

import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, expect } from "vitest";
import type { ListenerLimits } from "../../../proto/listener-limits.js";
import { expectClosed } from "./empty-fleet.js";

export const LIMITS: ListenerLimits = {
  handshakeMs: 300,
  headersMs: 300,
  requestMs: 600,
  idleMs: 300,
  connections: 24,
  connectionsOfPeer: 100,
  streams: 8,
  silenceMs: 300,
  pongMs: 300,
};
/** For a limit to be noticed on a machine that is busy. */
export const CLOSED_WITHIN_MS = 5_000;

const sockets: Socket[] = [];

/** For each file that connects. */
export const hangUpAfterEach = (): void =>
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

/** Ended with its test, if not before. */
export function ended<S extends Socket>(socket: S): S {
  sockets.push(socket.on("error", () => {}));
  return socket;
}

export const many = (port: number, count = 20, from = "127.0.0.1"): Promise<Socket[]> =>
  Promise.all(Array.from({ length: count }, () => dialled(port, from)));

async function dialled(port: number, localAddress: string): Promise<Socket> {
  const socket = ended(connect({ port, host: "127.0.0.1", localAddress }));
  await once(socket, "connect");
  return socket.resume();
}

export const closed = (all: readonly Socket[]) => expectClosed(all, CLOSED_WITHIN_MS);

export const stillOpen = (all: readonly Socket[]): number => all.filter(socket => !socket.closed).length;

export const eventually = <T>(look: () => T) => expect.poll(look, { timeout: CLOSED_WITHIN_MS });

/** Writes one byte after the other, for as long as it is let. */
export function drip(socket: Socket, text: string): void {
  let at = 0;
  const timer = setInterval(() => socket.write(text[at++ % text.length] ?? ""), 50);
  socket.once("close", () => clearInterval(timer));
}

const ROUNDS = 3;
/** So many connections of a round should be remembered that this is exceeded. */
const CROWD = 150;
const GROWTH_BYTES = 3 * 1024 * 1024;
export const ROOMY: ListenerLimits = { ...LIMITS, connections: 1_000, connectionsOfPeer: 1_000 };

/** After the first round of a crowd as much is held as after many more: no file descriptor, hardly any memory. */
export async function expectNothingLeft(round: (crowd: number) => Promise<void>): Promise<void> {
  await round(CROWD);
  const before = { descriptors: descriptors(), bytes: await settledBytes() };
  for (let count = 0; count < ROUNDS; count += 1) {
    await round(CROWD);
    sockets.length = 0;
  }
  await eventually(descriptors).toBeLessThanOrEqual(before.descriptors);
  await eventually(heldBytes).toBeLessThan(before.bytes + GROWTH_BYTES);
}

const descriptors = (): number => readdirSync("/proc/self/fd").length;

/** As small as it becomes. */
async function settledBytes(): Promise<number> {
  let least = heldBytes();
  for (let count = 0; count < 3; count += 1) {
    await new Promise(resolve => setImmediate(resolve));
    least = Math.min(least, heldBytes());
  }
  return least;
}

function heldBytes(): number {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
