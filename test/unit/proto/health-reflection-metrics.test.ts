/** What tools that are not ours expect of both daemons: health, reflection, metrics. */

import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import { Gauge } from "prom-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Fault } from "../../../proto/fault.js";
import { HostServiceService } from "../../../proto/gen/ferry/v1/controller.js";
import { Host } from "../../../proto/gen/ferry/v1/model.js";
import { createRegistry, serveMetrics } from "../../../proto/metrics.js";
import { createServer, implement, type RunningServer } from "../../../proto/rpc-server.js";
import type { TlsPaths } from "../../../proto/tls-files.js";
import { TlsSource } from "../../../proto/tls-source.js";
import { Certificates } from "./certificates.js";

const refuse = () =>
  Promise.reject(new Fault("not-found", "there is no host h9", { fix: "ferry host list" }));
const BUF = createRequire(import.meta.url).resolve("@bufbuild/buf/bin/buf");

let certificates: Certificates;
let server: RunningServer;
let user: TlsPaths;

beforeAll(async () => {
  certificates = await Certificates.make();
  const tls = await certificates.tls({ kind: "controller", name: "ctl" });
  user = await certificates.files({ kind: "user", name: "alice", role: "admin" });
  const hosts = implement(HostServiceService, {
    listHosts: async () => ({ hosts: [Host.create({ name: "h1" })] }),
    showHost: refuse,
    setHostStatus: refuse,
    forceHostDown: refuse,
  });
  server = await createServer({ tls, address: "127.0.0.1:0", services: [hosts] });
});
afterAll(async () => {
  await server.close();
  certificates[Symbol.dispose]();
});

/** The Go implementation of gRPC, which knows of us only what reflection tells it. */
async function foreign(...words: string[]): Promise<string> {
  const tls = ["--cacert", user.ca, "--cert", user.cert, "--key", user.key];
  const command = [BUF, "curl", "--protocol", "grpc", ...tls, ...words];
  const { stdout } = await promisify(execFile)(process.execPath, command);
  return stdout;
}
const url = (path = "") => `https://localhost:${server.port}${path}`;

describe("a foreign client", () => {
  it("lists the services that this server offers, health among them, and no others", async () => {
    const services = (await foreign("--list-services", url())).trim().split("\n");
    expect(services.sort()).toEqual(["ferry.v1.HostService", "grpc.health.v1.Health"]);
  });

  it("calls a method by what reflection says of it", async () => {
    const answer = await foreign("--data", "{}", url("/ferry.v1.HostService/ListHosts"));
    expect(JSON.parse(answer)).toEqual({ hosts: [{ name: "h1" }] });
  });

  it("gets a refusal as an ordinary gRPC status", async () => {
    const refused = foreign("--data", '{"name":"h9"}', url("/ferry.v1.HostService/ShowHost"));
    await expect(refused).rejects.toMatchObject({ stderr: expect.stringContaining("not_found") });
    await expect(refused).rejects.toMatchObject({ stderr: expect.stringContaining("there is no host h9") });
  });

  it("finds the server healthy until it closes", async () => {
    const check = async () =>
      JSON.parse(await foreign("--data", "{}", url("/grpc.health.v1.Health/Check"))) as unknown;
    expect(await check()).toEqual({ status: "SERVING" });
    server.health.setServing(false);
    expect(await check()).toEqual({ status: "NOT_SERVING" });
    server.health.setServing(true);
  });
});

describe("metrics", () => {
  it("are scraped as text, and health is one line", async () => {
    const registry = createRegistry("ferry-agent", "1.2.3");
    new Gauge({ name: "ferry_agent_up", help: "test", registers: [registry] }).set(1);
    let problem: string | undefined;
    const metrics = await serveMetrics({ registry, address: "127.0.0.1:0", problem: () => problem });
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${metrics.port}${path}`);
      return { status: response.status, text: await response.text() };
    };
    const scraped = await get("/metrics");
    expect(scraped.status).toBe(200);
    expect(scraped.text).toContain('ferry_build_info{program="ferry-agent",version="1.2.3"} 1');
    expect(scraped.text).toContain("ferry_agent_up 1");
    expect(await get("/healthz")).toEqual({ status: 200, text: "ok\n" });
    problem = "libvirtd does not answer";
    expect(await get("/healthz")).toEqual({ status: 503, text: "libvirtd does not answer\n" });
    expect((await get("/")).status).toBe(404);
    await metrics.close();
  });

  it("on an address that is taken are a fault that names it", async () => {
    const taken = `127.0.0.1:${server.port}`;
    const serving = serveMetrics({
      registry: createRegistry("x", "1"),
      address: taken,
      problem: () => undefined,
    });
    await expect(serving).rejects.toThrow(`serve metrics on ${taken}`);
    const tls = new TlsSource(user);
    await expect(createServer({ tls, address: taken, services: [] })).rejects.toThrow(`listen on ${taken}`);
  });
});
