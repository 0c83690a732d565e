/**
 * Prometheus over plain HTTP: `/metrics`, and `/healthz` for load balancers and probes. The same for both daemons.
 *
 * A registry is made by `main` and handed down; nothing registers itself globally. prom-client's default process
 * metrics are left out: they cost more than they tell here.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Gauge, Registry } from "prom-client";
import { Fault } from "./fault.js";
import { httpLimits, LISTENER_LIMITS, type ListenerLimits, limitConnections } from "./listener-limits.js";
import { parseServerAddress } from "./server-address.js";

export interface MetricsOptions {
  readonly registry: Registry;
  /** `host:port`; port 0 takes any free one. */
  readonly address: string;
  /** Undefined when well, otherwise one line that says why not. */
  readonly problem: () => string | undefined;
  readonly limits?: ListenerLimits;
}

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Not imported: an `import` of it reads all that it exports, and one of these is a whole HTTP client, 30 ms at every start. */
const { createServer } = process.getBuiltinModule("node:http");

/** A few scrapers and load balancers. */
const CONNECTIONS = 64;

/** `program` is `ferry-agent` or `ferry-controller`. */
export function createRegistry(program: string, version: string): Registry {
  const registry = new Registry();
  const build = new Gauge({
    name: "ferry_build_info",
    help: "Which program and version this is; always 1",
    labelNames: ["program", "version"],
    registers: [registry],
  });
  build.set({ program, version }, 1);
  const memory: Gauge = new Gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory size in bytes",
    registers: [registry],
    collect: () => memory.set(process.memoryUsage.rss()),
  });
  const started = new Gauge({
    name: "process_start_time_seconds",
    help: "Start time of the process since unix epoch in seconds",
    registers: [registry],
  });
  started.set(Math.round(performance.timeOrigin / 1000));
  return registry;
}

export async function serveMetrics(options: MetricsOptions): Promise<MetricsServer> {
  const limits = options.limits ?? { ...LISTENER_LIMITS, connections: CONNECTIONS };
  const server = createServer(
    httpLimits(limits),
    (request, response) => void answer(options, request, response),
  );
  limitConnections(server, limits);
  const { host, port } = parseServerAddress(options.address, 0);
  await new Promise<void>((resolve, reject) => {
    server.once("error", error => {
      reject(
        new Fault("failed", `serve metrics on ${options.address}: ${error.message}`, {}, { cause: error }),
      );
    });
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.closeAllConnections();
      return new Promise(resolve => server.close(() => resolve()));
    },
  };
}

async function answer(
  { registry, problem }: MetricsOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = request.url?.split("?", 1)[0];
  if (request.method !== "GET") return reply(response, 405, "only GET\n");
  if (path === "/metrics") {
    try {
      return reply(response, 200, await registry.metrics(), registry.contentType);
    } catch (error) {
      // A collector that cannot read its source now; the scrape fails, the daemon does not.
      return reply(response, 500, `${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  if (path !== "/healthz") return reply(response, 404, "try /metrics or /healthz\n");
  const line = problem();
  reply(response, line === undefined ? 200 : 503, `${line ?? "ok"}\n`);
}

function reply(
  response: ServerResponse,
  code: number,
  body: string,
  type = "text/plain; charset=utf-8",
): void {
  response.writeHead(code, { "content-type": type }).end(body);
}
