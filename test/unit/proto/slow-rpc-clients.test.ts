/** The same of gRPC, where clients must say who they are first, and then can be slow in more ways. */

import { once } from "node:events";
import { type ClientHttp2Stream, connect as connectHttp2, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Fault } from "../../../proto/fault.js";
import { HostServiceService } from "../../../proto/gen/ferry/v1/controller.js";
import type { ListenerLimits } from "../../../proto/listener-limits.js";
import { createServer, type RunningServer } from "../../../proto/rpc-server.js";
import type { TlsSource } from "../../../proto/tls-source.js";
import { Certificates } from "./certificates.js";
import { emptyFleet, expectServed } from "./empty-fleet.js";
import {
  CLOSED_WITHIN_MS,
  closed,
  drip,
  ended,
  eventually,
  expectNothingLeft,
  hangUpAfterEach,
  LIMITS,
  many,
  ROOMY,
  stillOpen,
} from "./slow-sockets.js";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

hangUpAfterEach();
let certificates: Certificates;
let user: TlsSource;
let server: RunningServer;
let running = 0;
let most = 0;

beforeAll(async () => {
  certificates = await Certificates.make();
  user = await certificates.tls({ kind: "user", name: "al", role: "admin" });
  server = await serve(LIMITS);
});
afterAll(async () => {
  await server.close();
  certificates[Symbol.dispose]();
});

async function serve(limits: ListenerLimits): Promise<RunningServer> {
  const tls = await certificates.tls({ kind: "controller", name: "ctl" });
  return createServer({ tls, address: "127.0.0.1:0", services: [hosts], limits });
}

/** Answers a call when its caller has gone. */
const hosts = emptyFleet({
  showHost: async (_request, { signal }) => {
    most = Math.max(most, ++running);
    await once(signal, "abort");
    running -= 1;
    throw new Fault("cancelled", "gone");
  },
});

const expectOthersServed = (at = server) => expectServed(at.port, user, CLOSED_WITHIN_MS);

interface Introduction {
  readonly protocols: string[];
  /** Does not hang up because the other side did. */
  readonly allowHalfOpen?: boolean;
}

const HTTP2: Introduction = { protocols: ["h2"] };
const NONE: Introduction = { protocols: [] };

/** With a certificate of our CA, until the handshake is over. */
async function introduced(
  { protocols, allowHalfOpen = false }: Introduction,
  at = server,
): Promise<TLSSocket> {
  const { ca, cert, key } = user.material;
  const socket = connectTls({
    socket: connect({ port: at.port, host: "127.0.0.1", allowHalfOpen }),
    ca,
    cert,
    key,
    checkServerIdentity: () => undefined,
    ALPNProtocols: protocols,
  });
  await once(ended(socket), "secureConnect");
  return socket.resume();
}

it.each<[string, (socket: Socket) => void]>([
  ["say nothing", () => {}],
  ["send their first message byte by byte", socket => drip(socket, "\x16\x03\x01\x02\x00\x01")],
])("closes those that %s, and serves others meanwhile", async (_what, behave) => {
  const slow = await many(server.port);
  for (const socket of slow) behave(socket);
  await expectOthersServed();
  await closed(slow);
});

it.each<[string, Introduction, (socket: Socket) => void]>([
  ["say nothing", HTTP2, () => {}],
  ["begin byte by byte", HTTP2, socket => drip(socket, PREFACE.slice(0, 10))],
  [
    "begin and answer no ping",
    HTTP2,
    socket => void socket.write(Buffer.concat([Buffer.from(PREFACE), EMPTY_SETTINGS])),
  ],
  ["speak no HTTP/2", NONE, socket => void socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")],
  [
    "neither speak HTTP/2 nor hang up",
    { ...NONE, allowHalfOpen: true },
    socket => drip(socket, "GET / HTTP/1.1\r\nX-A: "),
  ],
])(
  "closes those that have shown a certificate and then %s, and serves others meanwhile",
  async (_what, introduction, behave) => {
    const slow = await Promise.all(Array.from({ length: 8 }, () => introduced(introduction)));
    for (const socket of slow) behave(socket);
    await expectOthersServed();
    await closed(slow);
  },
);

it("keeps those that answer when they are pinged, though they ask for nothing", async () => {
  const { ca, cert, key } = user.material;
  const session = connectHttp2(`https://127.0.0.1:${server.port}`, {
    ca,
    cert,
    key,
    checkServerIdentity: () => undefined,
  });
  let pings = 0;
  session.on("ping", () => {
    pings += 1;
  });
  await eventually(() => pings).toBeGreaterThan(2);
  expect(session.closed).toBe(false);
  session.destroy();
});

it("lets so many in at a time and no more, and others when they have gone", async () => {
  const full = await serve({ ...LIMITS, handshakeMs: 60_000 });
  const greedy = await many(full.port, 60);
  await eventually(() => stillOpen(greedy)).toBe(LIMITS.connections);
  for (const socket of greedy) socket.destroy();
  await eventually(() => expectOthersServed(full)).toBeUndefined();
  await full.close();
});

it("lets so many in from one address, and others beside them", async () => {
  const shared = await serve({ ...LIMITS, handshakeMs: 60_000, connectionsOfPeer: 4 });
  const greedy = await many(shared.port, 40, "127.0.0.2");
  await eventually(() => stillOpen(greedy)).toBe(4);
  await expectOthersServed(shared);
  await shared.close();
  await closed(greedy);
});

it("carries out so many calls of one connection at a time, and others' beside them", async () => {
  const { ca, cert, key } = user.material;
  const checkServerIdentity = () => undefined;
  const url = `https://127.0.0.1:${server.port}`;
  const session = connectHttp2(url, { ca, cert, key, checkServerIdentity });
  await once(session, "remoteSettings");
  expect(session.remoteSettings.maxConcurrentStreams).toBe(LIMITS.streams);
  const streams = Array.from({ length: 2_000 }, () => ask(session));
  await eventually(() => running).toBe(LIMITS.streams);
  await expectOthersServed();
  for (const stream of streams) stream.destroy();
  session.destroy();
  await eventually(() => running).toBe(0);
  expect(most).toBe(LIMITS.streams);
});

it("holds nothing of those that have gone", async () => {
  const roomy = await serve(ROOMY);
  await expectNothingLeft(async crowd => {
    const silent = await many(roomy.port, crowd);
    const mute = await Promise.all(Array.from({ length: 20 }, () => introduced(HTTP2, roomy)));
    await closed([...silent, ...mute]);
    await expectOthersServed(roomy);
  });
  await roomy.close();
});

function ask(session: ReturnType<typeof connectHttp2>): ClientHttp2Stream {
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: HostServiceService.showHost.path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {}).end(Buffer.alloc(5));
  return stream;
}
