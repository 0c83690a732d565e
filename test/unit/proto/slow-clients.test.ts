/** Clients that are slow on purpose, or greedy: each port closes what keeps to no limit, and serves the others meanwhile. */

import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { authenticateNobody } from "../../../controller/api/nova/identity/authenticate.js";
import { novaApi } from "../../../controller/api/nova/nova-api.js";
import type { ListenerLimits } from "../../../proto/listener-limits.js";
import { createRegistry, serveMetrics } from "../../../proto/metrics.js";
import {
  CLOSED_WITHIN_MS,
  closed,
  drip,
  eventually,
  expectNothingLeft,
  hangUpAfterEach,
  LIMITS,
  many,
  ROOMY,
  stillOpen,
} from "./slow-sockets.js";

hangUpAfterEach();

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
    const greedy = await many(patient.port, 60);
    await eventually(() => stillOpen(greedy)).toBe(LIMITS.connections);
    for (const socket of greedy) socket.destroy();
    await eventually(() => expectAnswer(patient.port)).toBeUndefined();
  });

  it("holds nothing of those that have gone", async () => {
    const roomy = await serve(ROOMY);
    await expectNothingLeft(async crowd => {
      const slow = await many(roomy.port, crowd);
      for (const socket of slow) drip(socket, "GET / HTTP/1.1\r\nX-A: ");
      await expectAnswer(roomy.port);
      await closed(slow);
    });
    await roomy.close();
  });
});

/** Waits long for whoever has connected: only their number limits them. */
async function serving(serve: (limits: ListenerLimits) => Promise<Served>) {
  const served = await serve({ ...LIMITS, headersMs: 60_000, requestMs: 60_000 });
  return { port: served.port, [Symbol.asyncDispose]: async () => void (await served.close()) };
}
