import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Fault } from "../../../proto/fault.js";
import { HostServiceService } from "../../../proto/gen/ferry/v1/controller.js";
import { call, createClient } from "../../../proto/rpc-client.js";
import { createServer, implement } from "../../../proto/rpc-server.js";
import { readTlsFiles, type TlsMaterial } from "../../../proto/tls-files.js";
import type { TlsSource } from "../../../proto/tls-source.js";
import { Certificates } from "./certificates.js";

let certificates: Certificates;
beforeAll(async () => {
  certificates = await Certificates.make();
});
afterAll(() => certificates[Symbol.dispose]());

const agent = (name: string) => ({ kind: "agent" as const, name });

describe("certificate files", () => {
  it("are refused by name when one is missing", async () => {
    const paths = await certificates.files(agent("h1"));
    expect(() => readTlsFiles({ ...paths, key: "/nowhere/agent.key" })).toThrow("/nowhere/agent.key");
  });

  it("are refused when the key is another one's", async () => {
    const [one, other] = [await certificates.files(agent("h1")), await certificates.files(agent("h2"))];
    expect(() => readTlsFiles({ ...one, key: other.key })).toThrow("is not the key of");
  });

  it("are refused when expired", async () => {
    const paths = await certificates.files(agent("h1"), { days: 1 });
    expect(() => readTlsFiles(paths, new Date(Date.now() + 2 * 86_400_000))).toThrow("not now");
  });

  it("are refused when they hold something else, without quoting it", async () => {
    const paths = await certificates.files(agent("h1"));
    const junk = join(certificates.folder, "junk");
    writeFileSync(junk, "secret words");
    expect(() => readTlsFiles({ ...paths, key: junk })).toThrow(/no readable private key$/);
    expect(() => readTlsFiles({ ...paths, cert: junk })).toThrow("no readable certificate");
  });
});

describe("renewal", () => {
  const serialOf = (material: TlsMaterial) => material.cert.toString();
  const renewals = (source: TlsSource) => {
    const outcomes: (TlsMaterial | Fault)[] = [];
    source.watch({ intervalMs: 20, onRenewal: outcome => outcomes.push(outcome) });
    return outcomes;
  };

  it("takes new files into use by new connections of a running server", async () => {
    const tls = await certificates.tls({ kind: "controller", name: "ctl" });
    const user = await certificates.tls({ kind: "user", name: "al", role: "admin" });
    const hosts = implement(HostServiceService, {
      listHosts: async () => ({ hosts: [] }),
      showHost: () => Promise.reject(new Fault("unsupported", "-")),
      setHostStatus: () => Promise.reject(new Fault("unsupported", "-")),
      forceHostDown: () => Promise.reject(new Fault("unsupported", "-")),
    });
    const server = await createServer({ tls, address: "127.0.0.1:0", services: [hosts] });
    const outcomes = renewals(tls);
    using others = await Certificates.make();
    // A renewed fleet: new CA, new certificates. The old user is refused, the new one is served.
    const renewed = await others.files({ kind: "controller", name: "ctl" });
    for (const file of ["ca", "key", "cert"] as const) copyFileSync(renewed[file], tls.paths[file]);
    await expect.poll(() => outcomes.at(-1)).not.toBeInstanceOf(Fault);
    await expect.poll(() => serialOf(tls.material) === serialOf(readTlsFiles(renewed))).toBe(true);
    const ask = async (source: TlsSource) => {
      const client = createClient(`127.0.0.1:${server.port}`, source, { kind: "controller" });
      try {
        return await call(client, HostServiceService.listHosts, {});
      } finally {
        client.close();
      }
    };
    expect(await ask(await others.tls({ kind: "user", name: "al", role: "admin" }))).toEqual({ hosts: [] });
    await expect(ask(user)).rejects.toMatchObject({ code: "unauthenticated" });
    tls.unwatch();
    await server.close();
  });

  it("keeps the old files while the new ones do not belong together, and says so", async () => {
    const source = await certificates.tls(agent("h3"));
    const before = serialOf(source.material);
    const outcomes = renewals(source);
    const other = await certificates.files(agent("h4"));
    copyFileSync(other.key, source.paths.key);
    await expect.poll(() => outcomes.length).toBe(1);
    expect(outcomes[0]).toBeInstanceOf(Fault);
    expect(serialOf(source.material)).toBe(before);
    copyFileSync(other.cert, source.paths.cert);
    await expect.poll(() => outcomes.length).toBe(2);
    expect((outcomes[1] as Fault).message).toContain("agent/h4, not agent/h3");
    source.unwatch();
  });
});
