/** Peers of the data port that are slow on purpose, or greedy: closed within the limits, and a transfer goes on beside them. */

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterEach, beforeEach, expect, it } from "vitest";
import { areEqual, createWorld, KIB, MIB, until, type World } from "./support/transfer-world.js";

/** Eight handshakes at once, of both sides in this process, have taken 200 ms on a machine with three times as much to do. */
const LIMITS = { idleMs: 2_000, handshakeMs: 1_000, absentMs: 20_000, connections: 16 };
const CLOSED_WITHIN_MS = 5_000;
let world: World;
const sockets: Socket[] = [];

beforeEach(async () => {
  world = await createWorld();
  await writeFile(world.source("disk"), randomBytes(4 * MIB));
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await world.dispose();
});

async function dialled(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  sockets.push(socket);
  await once(socket, "connect");
  return socket.resume();
}

/** Certified, and through its handshake. */
async function secured(port: number): Promise<Socket> {
  const socket = connectTls({
    ...world.sourceTls,
    host: "127.0.0.1",
    port,
    checkServerIdentity: () => undefined,
  });
  sockets.push(socket.on("error", () => {}));
  await once(socket, "secureConnect");
  return socket.resume();
}

/** One byte after the other, for as long as it is let: of a hello that would be right so far. */
function drip(socket: Socket, bytes: Buffer): void {
  let at = 0;
  const timer = setInterval(
    () => socket.write(bytes.subarray(at % bytes.length, (at++ % bytes.length) + 1)),
    30,
  );
  socket.once("close", () => clearInterval(timer));
}

const descriptors = (): number => readdirSync("/proc/self/fd").length;

/** Begins a hello of 200 KiB. */
const HELLO = Buffer.alloc(60);
HELLO.write("FRY1\x01", 0, "latin1");
HELLO.writeUInt32LE(200 * KIB, 12);
HELLO.writeUInt32LE(200 * KIB, 16);

it.each<[string, (port: number) => Promise<Socket>]>([
  ["say nothing", dialled],
  [
    "send their handshake byte by byte",
    async port => {
      const socket = await dialled(port);
      drip(socket, Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]));
      return socket;
    },
  ],
  ["have a certificate and say nothing", secured],
  [
    "have a certificate and send their hello byte by byte",
    async port => {
      const socket = await secured(port);
      drip(socket, HELLO);
      return socket;
    },
  ],
])("closes those that %s, while a transfer goes on", async (_what, come) => {
  const { listener, port } = await world.listener({ limits: LIMITS });
  const slow = await Promise.all(Array.from({ length: 8 }, () => come(port)));
  const expectation = world.expect(listener, [await world.incoming("disk")]);
  await world.send(port, ["disk"]);
  await expectation.done;
  expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
  await until(() => slow.every(({ closed }) => closed), "all are closed", CLOSED_WITHIN_MS);
});

it("takes so many connections and no more, and is there again once they have gone", async () => {
  const patient = { ...LIMITS, handshakeMs: 60_000 };
  const { listener, port } = await world.listener({ limits: patient });
  const before = descriptors();
  const greedy = await Promise.all(Array.from({ length: 60 }, () => dialled(port)));
  const open = () => greedy.filter(({ closed }) => !closed).length;
  await until(() => open() === LIMITS.connections, "the others are closed", CLOSED_WITHIN_MS);
  for (const socket of greedy) socket.destroy();
  await until(() => open() === 0, "all have gone", CLOSED_WITHIN_MS);
  await until(() => descriptors() <= before, "nothing of them is held", CLOSED_WITHIN_MS);
  const expectation = world.expect(listener, [await world.incoming("disk")]);
  await world.send(port, ["disk"]);
  await expectation.done;
  expect(await areEqual(world.source("disk"), world.target("disk"))).toBe(true);
});
