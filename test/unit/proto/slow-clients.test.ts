/** Clients that are slow on purpose, or greedy: each port closes what keeps to no limit, and serves the others meanwhile. */

import { once } from "node:events";
import { type ClientHttp2Stream, connect as connectHttp2, constants } from "node:http2";
import type { AddressInfo } from "node:net";
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { authenticateNobody } from "../../../controller/api/nova/identity/authenticate.js";
import { novaApi } from "../../../controller/api/nova/nova-api.js";
import { Fault } from "../../../proto/fault.js";
import { HostServiceService } from "../../../proto/gen/ferry/v1/controller.js";
import type { ListenerLimits } from "../../../proto/listener-limits.js";
import { createRegistry, serveMetrics } from "../../../proto/metrics.js";
import { createServer, type RunningServer } from "../../../proto/rpc-server.js";
import type { TlsSource } from "../../../proto/tls-source.js";
import { Certificates } from "./certificates.js";
import { emptyFleet, expectClosed, expectServed } from "./empty-fleet.js";

const LIMITS: ListenerLimits = {
  handshakeMs: 300,
  headersMs: 300,
  requestMs: 600,
  idleMs: 300,
  connections: 24,
  streams: 8,
};
/** For a limit to be noticed on a machine that is busy. */
const CLOSED_WITHIN_MS = 5_000;
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function dialled(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  sockets.push(socket);
  await once(socket, "connect");
  return socket.resume();
}

const closed = (all: readonly Socket[]) => expectClosed(all, CLOSED_WITHIN_MS);

/** Writes one byte after the other, for as long as it is let. */
function drip(socket: Socket, text: string): void {
  let at = 0;
  const timer = setInterval(() => socket.write(text[at++ % text.length] ?? ""), 50);
  socket.once("close", () => clearInterval(timer));
}

const many = (port: number) => Promise.all(Array.from({ length: 20 }, () => dialled(port)));

interface Served {
  readonly port: number;
  close(): Promise<unknown>;
}

const SERVERS: Readonly<Record<string, (limits: ListenerLimits) => Promise<Served>>> = {
  "/metrics": limits => {
    const registry = createRegistry("test", "0");
    return serveMetrics({ registry, address: "127.0.0.1:0", problem: () => undefined, limits });
  },
  REST: async limits => {
    const app = novaApi({
      calls: { as: () => Promise.reject(new Error("not called")) } as never,
      routes: [],
      authenticate: authenticateNobody,
      newId: () => "0",
      onFailure: () => {},
      limits,
    });
    await app.ready();
    app.server.listen(0, "127.0.0.1");
    await once(app.server, "listening");
    return { port: (app.server.address() as AddressInfo).port, close: () => app.close() };
  },
};

describe.each(Object.entries(SERVERS))("%s", (name, serve) => {
  let served: Served;
  let port: number;
  beforeAll(async () => {
    served = await serve(LIMITS);
    port = served.port;
  });
  afterAll(() => served.close());

  const expectAnswer = async (at = port) => {
    const { status } = await fetch(`http://127.0.0.1:${at}/${name === "REST" ? "" : "healthz"}`, {
      headers: { connection: "close" },
      signal: AbortSignal.timeout(CLOSED_WITHIN_MS),
    });
    expect(status).toBe(name === "REST" ? 300 : 200);
  };

  it.each<[string, (socket: Socket) => void]>([
    ["say nothing", () => {}],
    ["send headers byte by byte", socket => drip(socket, "GET / HTTP/1.1\r\nX-A: ")],
    [
      "send a body byte by byte",
      socket => {
        const head =
          "POST /v2.1/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n";
        socket.write(`${head}\r\n`);
        drip(socket, " ");
      },
    ],
    ["ask once and stay", socket => void socket.write("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")],
  ])("closes those that %s, and serves others meanwhile", async (_what, behave) => {
    const slow = await many(port);
    for (const socket of slow) behave(socket);
    await expectAnswer();
    await closed(slow);
    await expectAnswer();
  });

  it("takes so many connections and no more, and is there again once they have gone", async () => {
    await using patient = await serving(serve);
    const greedy = await Promise.all(Array.from({ length: 60 }, () => dialled(patient.port)));
    const open = () => greedy.filter(socket => !socket.closed).length;
    await expect.poll(open, { timeout: CLOSED_WITHIN_MS }).toBe(LIMITS.connections);
    for (const socket of greedy) socket.destroy();
    await expect.poll(() => expectAnswer(patient.port), { timeout: CLOSED_WITHIN_MS }).toBeUndefined();
  });
});

/** Waits long for whoever has connected: only their number limits them. */
async function serving(serve: (limits: ListenerLimits) => Promise<Served>) {
  const served = await serve({ ...LIMITS, headersMs: 60_000, requestMs: 60_000 });
  return { port: served.port, [Symbol.asyncDispose]: async () => void (await served.close()) };
}

describe("gRPC", () => {
  let certificates: Certificates;
  let user: TlsSource;
  let server: RunningServer;
  let running = 0;
  let most = 0;

  beforeAll(async () => {
    certificates = await Certificates.make();
    user = await certificates.tls({ kind: "user", name: "al", role: "admin" });
    const hosts = emptyFleet({
      showHost: async (_request, { signal }) => {
        most = Math.max(most, ++running);
        await once(signal, "abort");
        running -= 1;
        throw new Fault("cancelled", "gone");
      },
    });
    const tls = await certificates.tls({ kind: "controller", name: "ctl" });
    server = await createServer({ tls, address: "127.0.0.1:0", services: [hosts], limits: LIMITS });
  });
  afterAll(async () => {
    await server.close();
    certificates[Symbol.dispose]();
  });

  const expectOthersServed = () => expectServed(server.port, user, CLOSED_WITHIN_MS);

  it.each<[string, (socket: Socket) => void]>([
    ["say nothing", () => {}],
    ["send their first message byte by byte", socket => drip(socket, "\x16\x03\x01\x02\x00\x01")],
  ])("closes those that %s, and serves others meanwhile", async (_what, behave) => {
    const slow = await many(server.port);
    for (const socket of slow) behave(socket);
    await expectOthersServed();
    await closed(slow);
  });

  it("carries out so many calls of one connection at a time, and others' beside them", async () => {
    const { ca, cert, key } = user.material;
    const checkServerIdentity = () => undefined;
    const url = `https://127.0.0.1:${server.port}`;
    const session = connectHttp2(url, { ca, cert, key, checkServerIdentity });
    await once(session, "remoteSettings");
    expect(session.remoteSettings.maxConcurrentStreams).toBe(LIMITS.streams);
    const streams = Array.from({ length: 2_000 }, () => ask(session));
    await expect.poll(() => running, { timeout: CLOSED_WITHIN_MS }).toBe(LIMITS.streams);
    await expectOthersServed();
    for (const stream of streams) stream.destroy();
    session.destroy();
    await expect.poll(() => running, { timeout: CLOSED_WITHIN_MS }).toBe(0);
    expect(most).toBe(LIMITS.streams);
  });
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
