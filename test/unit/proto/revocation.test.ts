/** Certificates that count for nothing before they expire: who shows one is refused, at each end and on open connections. */

import { X509Certificate } from "node:crypto";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { HostServiceService } from "../../../proto/gen/ferry/v1/controller.js";
import { parseRevoked } from "../../../proto/revocation.js";
import { call, createClient } from "../../../proto/rpc-client.js";
import { createServer } from "../../../proto/rpc-server.js";
import { readTlsFiles, type TlsPaths } from "../../../proto/tls-files.js";
import { TlsSource } from "../../../proto/tls-source.js";
import { Certificates } from "./certificates.js";
import { emptyFleet } from "./empty-fleet.js";

let certificates: Certificates;
let list: string;
beforeAll(async () => {
  certificates = await Certificates.make();
  list = join(certificates.folder, "revoked");
});
beforeEach(() => writeFileSync(list, "# nobody yet\n\n"));
afterAll(() => certificates[Symbol.dispose]());

const fingerprintOf = ({ cert }: TlsPaths) => new X509Certificate(readFileSync(cert)).fingerprint256;
const revoke = (paths: TlsPaths) => appendFileSync(list, `${fingerprintOf(paths)} # lost\n`);
const withList = (paths: TlsPaths): TlsPaths => ({ ...paths, revoked: list });
const hosts = emptyFleet();

async function withServer(
  options: { readonly user: TlsPaths; readonly server: TlsPaths },
  body: (ask: () => Promise<unknown>, renewed: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const tls = new TlsSource(options.server);
  const server = await createServer({ tls, address: "127.0.0.1:0", services: [hosts] });
  const client = createClient(`127.0.0.1:${server.port}`, new TlsSource(options.user), {
    kind: "controller",
  });
  let renewals = 0;
  tls.watch({ intervalMs: 10, onRenewal: () => (renewals += 1) });
  try {
    const seen = renewals;
    await body(
      () => call(client, HostServiceService.listHosts, {}),
      () => expect.poll(() => renewals).toBeGreaterThan(seen),
    );
  } finally {
    tls.unwatch();
    client.close();
    await server.close();
  }
}

describe("a revoked certificate", () => {
  it("is refused its next call on a connection that was open before", async () => {
    const user = await certificates.files({ kind: "user", name: "al", role: "admin" });
    const server = withList(await certificates.files({ kind: "controller", name: "ctl" }));
    await withServer({ user, server }, async (ask, renewed) => {
      expect(await ask()).toEqual({ hosts: [] });
      revoke(user);
      await renewed();
      await expect(ask()).rejects.toMatchObject({ code: "unauthenticated", message: /revoked/ });
    });
  });

  it("of a server is believed by no client that has the list", async () => {
    const server = await certificates.files({ kind: "controller", name: "bad" });
    revoke(server);
    const user = withList(await certificates.files({ kind: "user", name: "bo", role: "admin" }));
    await withServer({ user, server }, async ask => {
      await expect(ask()).rejects.toThrow(/has been revoked/);
    });
  });

  it("is not used by its own daemon", async () => {
    const own = await certificates.files({ kind: "agent", name: "h9" });
    revoke(own);
    expect(() => readTlsFiles(withList(own))).toThrow(/agent.crt has been revoked by/);
  });
});

describe("a list of revoked certificates", () => {
  it("that cannot be read lets nobody in by mistake", async () => {
    const own = await certificates.files({ kind: "agent", name: "h1" });
    expect(() => readTlsFiles({ ...own, revoked: "/nowhere" })).toThrow("cannot read /nowhere");
    writeFileSync(list, "AB:CD\n");
    expect(() => readTlsFiles(withList(own))).toThrow(/revoked, line 1: no SHA-256/);
  });

  it("takes small letters, blanks and remarks", async () => {
    const own = fingerprintOf(await certificates.files({ kind: "agent", name: "h2" }));
    expect([...parseRevoked(`\n  ${own.toLowerCase()}  # stolen\r\n#\n`, "list")]).toEqual([own]);
  });
});
