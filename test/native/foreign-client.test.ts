/**
 * A client that knows nothing of Ferry, buf, before a real controller process: it learns the services by reflection, asks for
 * health and the hosts over mutual TLS, and is turned away without a certificate or with another CA's.
 */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TlsPaths } from "../../proto/tls-files.js";
import { freePort } from "../free-port.js";
import { waitFor } from "../lab/lab.js";
import { Certificates } from "../unit/proto/certificates.js";

const REPOSITORY = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "ferry-foreign-"));
const run = promisify(execFile);

let certificates: Certificates;
let stranger: Certificates;
let controller: ChildProcess;
let [port, metricsPort] = [0, 0];

function configOf({ ca, cert, key }: TlsPaths): string {
  return `name = "ctl"
listen = "127.0.0.1:${port}"
metrics_listen = "127.0.0.1:${metricsPort}"
store = "sqlite://${folder}/controller.db"
[tls]
ca = "${ca}"
cert = "${cert}"
key = "${key}"
`;
}

const credentials = ({ cert, key }: TlsPaths) => ["--cert", cert, "--key", key];

/** Trusts the fleet's CA; who it is says `identity`. */
async function buf(path: string, identity: readonly string[], ...words: string[]): Promise<string> {
  const ca = join(folder, "ca.crt");
  const address = `https://127.0.0.1:${port}/${path}`;
  const argv = ["curl", "--protocol", "grpc", "--cacert", ca, ...identity, ...words, address];
  return (await run(join(REPOSITORY, "node_modules/.bin/buf"), argv, { timeout: 20_000 })).stdout;
}

const admin = async () =>
  credentials(await certificates.files({ kind: "user", name: "alice", role: "admin" }));
const isServing = () =>
  fetch(`http://127.0.0.1:${metricsPort}/healthz`).then(
    ({ ok }) => ok,
    () => false,
  );

beforeAll(async () => {
  certificates = await Certificates.make();
  stranger = await Certificates.make();
  [port, metricsPort] = [await freePort(), await freePort()];
  const config = join(folder, "controller.toml");
  writeFileSync(join(folder, "ca.crt"), certificates.authority.certPem);
  writeFileSync(config, configOf(await certificates.files({ kind: "controller", name: "ctl" })));
  const main = join(REPOSITORY, "dist/controller/main.js");
  controller = spawn(process.execPath, [main, "--config", config], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  await waitFor(isServing, { deadlineMs: 20_000, what: "the controller serves (npm run build makes it)" });
});

afterAll(async () => {
  if (controller?.exitCode === null) {
    controller.kill("SIGTERM");
    await once(controller, "exit");
  }
  certificates?.[Symbol.dispose]();
  stranger?.[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe("a client that knows nothing of Ferry", () => {
  it("lists the services by reflection", async () => {
    const services = (await buf("", await admin(), "--list-services")).trim().split("\n");
    expect(services).toEqual(
      expect.arrayContaining([
        "ferry.v1.HostService",
        "ferry.v1.ServerService",
        "ferry.v1.MigrationService",
        "grpc.health.v1.Health",
      ]),
    );
  });

  it("calls one of them", async () => {
    const answer = await buf("ferry.v1.HostService/ListHosts", await admin(), "--data", "{}");
    expect(JSON.parse(answer)).toEqual({});
  });

  it("is told that the controller is well", async () => {
    const answer = await buf("grpc.health.v1.Health/Check", await admin(), "--data", "{}");
    expect(JSON.parse(answer)).toEqual({ status: "SERVING" });
  });

  it("is turned away without a certificate, and with one of another CA", async () => {
    const foreign = credentials(await stranger.files({ kind: "user", name: "eve", role: "admin" }));
    for (const identity of [[], foreign]) {
      await expect(buf("ferry.v1.HostService/ListHosts", identity, "--data", "{}")).rejects.toThrow();
    }
  });

  it("is told what a member may not do", async () => {
    const member = credentials(await certificates.files({ kind: "user", name: "bob", role: "member" }));
    const call = buf("ferry.v1.HostService/ListHosts", member, "--data", "{}");
    await expect(call).rejects.toThrow(/permission_denied[\s\S]*os_compute_api:os-hypervisors:list/);
  });
});
