/**
 * Real controller processes on one PostgreSQL, over gRPC with fake agents: what dies here dies by a signal. The agents of
 * all hosts live in this process, each behind its own certificate and port, and take their time to copy.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@grpc/grpc-js";
import { asFault, Fault } from "../../proto/fault.js";
import { toFaultInfo } from "../../proto/fault-info.js";
import {
  AgentServiceService,
  type PerformRequest,
  type PerformResponse,
} from "../../proto/gen/ferry/v1/agent.js";
import { FleetServiceService, HeartbeatRequest } from "../../proto/gen/ferry/v1/controller.js";
import { call, createClient } from "../../proto/rpc-client.js";
import { createServer, implement, type RunningServer } from "../../proto/rpc-server.js";
import type { TlsSource } from "../../proto/tls-source.js";
import { freePort } from "../free-port.js";
import { FakeFleet } from "../simulation/fake-agent.js";
import { Certificates } from "../unit/proto/certificates.js";

export const LEASE_SECONDS = 6;
const MAIN = join(import.meta.dirname, "../../dist/controller/main.js");
const START_LIMIT_MS = 60_000;
const COPY_MS = 400;
const BEAT_MS = 1_000;

export interface RunningController {
  readonly name: string;
  readonly address: string;
  /** As an administrator. */
  readonly client: Client;
  readonly process: ChildProcess;
}

export interface Asked {
  readonly controller: string;
  readonly host: string;
  readonly request: PerformRequest;
}

export class Controllers {
  readonly fleet: FakeFleet;
  /** Servers that could have run on two hosts at once, and where. */
  readonly breaches: string[] = [];
  /** What controllers have asked of agents. */
  readonly asked: Asked[] = [];
  readonly #store: string;
  readonly #certificates: Certificates;
  readonly #running = new Map<string, RunningController>();
  readonly #agents: RunningServer[] = [];
  readonly #ending = new AbortController();
  #beating: Promise<unknown> = Promise.resolve();

  private constructor(store: string, hosts: readonly string[], certificates: Certificates) {
    this.#store = store;
    this.#certificates = certificates;
    this.fleet = new FakeFleet(hosts, { nowMs: Date.now });
    this.fleet.afterEffect = () => this.#checkSafety();
  }

  static async start(
    store: string,
    names: readonly string[],
    hosts: readonly string[],
  ): Promise<Controllers> {
    const controllers = new Controllers(store, hosts, await Certificates.make());
    await Promise.all(names.map(name => controllers.#startController(name)));
    const beats = await Promise.all(hosts.map(host => controllers.#serveAgent(host)));
    controllers.#beating = Promise.all(beats.map(beat => beat()));
    return controllers;
  }

  get(name: string): RunningController {
    const running = this.#running.get(name);
    if (running === undefined) throw new Error(`no controller ${name}`);
    return running;
  }

  async kill(name: string): Promise<void> {
    await end(this.get(name).process);
    this.#running.delete(name);
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#beating;
    for (const { client, process: child } of this.#running.values()) {
      client.close();
      await end(child);
    }
    await Promise.all(this.#agents.map(agent => agent.close(100)));
    this.#certificates[Symbol.dispose]();
  }

  async #startController(name: string): Promise<void> {
    const port = await freePort();
    const { ca, cert, key } = await this.#certificates.files({ kind: "controller", name });
    const config = join(this.#certificates.folder, `${name}.toml`);
    const lines = [
      `name = "${name}"`,
      `listen = "127.0.0.1:${port}"`,
      `store = "${this.#store}"`,
      `lease_seconds = ${LEASE_SECONDS}`,
      // Some wait for their turn, whoever gives it.
      "max_concurrent_migrations_per_host = 10",
      `log_level = "error"`,
      `tls = { ca = "${ca}", cert = "${cert}", key = "${key}" }`,
    ];
    writeFileSync(config, lines.join("\n"));
    const child = spawn(process.execPath, [MAIN, "--config", config], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const address = `127.0.0.1:${port}`;
    const tls = await this.#certificates.tls({ kind: "user", name: "root", role: "admin" });
    this.#running.set(name, {
      name,
      address,
      process: child,
      client: createClient(address, tls, { kind: "controller" }),
    });
    await untilListening(port);
  }

  /** Answers how its heart beats. */
  async #serveAgent(host: string): Promise<() => Promise<void>> {
    const { fleet } = this;
    const nothing = new Fault("unsupported", `${host} is not a machine`);
    const absent = () => Promise.reject<never>(nothing);
    const service = implement<typeof AgentServiceService>(AgentServiceService, {
      describeHost: absent,
      measurePath: absent,
      limitTransfer: absent,
      describeMigration: absent,
      verifyFiles: () => failing(nothing),
      cancelOperation: async () => ({}),
      inspectDomain: request => fleet.inspectDomain(host, request),
      attest: ({ serverId }) => fleet.attest(host, serverId),
      describeSource: request => fleet.describeSource(host, request),
      checkTarget: () => fleet.checkTarget(host),
      getOperation: ({ key }) => fleet.getOperation(host, key),
      perform: (request, { identity, signal }) => {
        this.asked.push({ controller: identity.name, host, request });
        return perform(fleet, host, request, signal);
      },
    });
    const tls = await this.#certificates.tls({ kind: "agent", name: host });
    const server = await createServer({ tls, address: "127.0.0.1:0", services: [service] });
    this.#agents.push(server);
    return () => this.#beat(host, `127.0.0.1:${server.port}`, tls);
  }

  /** Tells every controller, as real agents do. */
  async #beat(host: string, address: string, tls: TlsSource): Promise<void> {
    const signal = this.#ending.signal;
    const inventories = ["VCPU", "MEMORY_MB", "DISK_GB"].map(resourceClass => ({
      resourceClass,
      total: 1_000_000,
      reserved: 0,
      allocationRatio: 1,
      used: 0,
    }));
    const report = HeartbeatRequest.fromPartial({ host, address, installId: host, inventories });
    while (!signal.aborted) {
      const telling = [...this.#running.values()].map(({ address: at }) => tell(at, tls, report, signal));
      await Promise.all(telling);
      await delay(BEAT_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #checkSafety(): void {
    const agents = [...this.fleet.agents.values()];
    for (const server of new Set(agents.flatMap(({ host }) => [...host.domains.keys()]))) {
      const able = agents.filter(
        ({ host }) =>
          host.isRunnable(server) || (host.domains.get(server)?.state ?? "SHUTDOWN") !== "SHUTDOWN",
      );
      if (able.length > 1)
        this.breaches.push(`${server} on ${able.map(({ host }) => host.name).join(" and ")}`);
    }
  }
}

/** A stream that ends before its first message. */
const failing = (fault: Fault): AsyncIterable<never> => ({
  [Symbol.asyncIterator]: () => ({ next: () => Promise.reject<IteratorResult<never>>(fault) }),
});

async function* perform(
  fleet: FakeFleet,
  host: string,
  request: PerformRequest,
  signal: AbortSignal,
): AsyncGenerator<PerformResponse> {
  try {
    if (request.verb?.$case === "sendDisks") await delay(COPY_MS, undefined, { signal });
    const value = await fleet.perform(host, request, { signal });
    yield { update: { $case: "result", value } };
  } catch (error) {
    yield { update: { $case: "fault", value: toFaultInfo(asFault(error)) } };
  }
}

async function tell(
  address: string,
  tls: TlsSource,
  report: HeartbeatRequest,
  signal: AbortSignal,
): Promise<void> {
  const client = createClient(address, tls, { kind: "controller" });
  // One that is dead or frozen hears nothing.
  await call(client, FleetServiceService.heartbeat, report, { deadlineMs: 2_000, signal }).catch(
    () => undefined,
  );
  client.close();
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

async function untilListening(port: number): Promise<void> {
  const endMs = Date.now() + START_LIMIT_MS;
  while (!(await accepts(port))) {
    if (Date.now() > endMs) throw new Error("the controller does not serve (npm run build makes it)");
    await delay(100);
  }
}

const accepts = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
