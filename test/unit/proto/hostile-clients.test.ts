/** Whoever connects to a gRPC listener and does not behave: others are served as before, and it holds nothing for ever. */

import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { issueCertificate } from "../../../cli/pki/authority.js";
import { HostServiceService } from "../../../proto/gen/ferry/v1/controller.js";
import { createServer, type RunningServer } from "../../../proto/rpc-server.js";
import type { TlsSource } from "../../../proto/tls-source.js";
import { Certificates } from "./certificates.js";
import { emptyFleet, expectClosed, expectServed } from "./empty-fleet.js";

let certificates: Certificates;
let user: TlsSource;
let server: RunningServer;
const sockets: Socket[] = [];

beforeAll(async () => {
  certificates = await Certificates.make();
  user = await certificates.tls({ kind: "user", name: "al", role: "admin" });
  const tls = await certificates.tls({ kind: "controller", name: "ctl" });
  server = await createServer({ tls, address: "127.0.0.1:0", services: [emptyFleet()] });
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});
afterAll(async () => {
  await server.close();
  certificates[Symbol.dispose]();
});

const expectOthersServed = () => expectServed(server.port, user);

async function dialled(): Promise<Socket> {
  const socket = connect(server.port, "127.0.0.1").on("error", () => {});
  sockets.push(socket);
  await once(socket, "connect");
  return socket;
}

const material = () => ({
  ca: user.material.ca,
  cert: user.material.cert,
  key: user.material.key,
  checkServerIdentity: () => undefined,
});

it("a hundred that connect and say nothing keep nobody out", async () => {
  await Promise.all(Array.from({ length: 100 }, dialled));
  await expectOthersServed();
});

it("a hundred that send their first message byte by byte keep nobody out", async () => {
  const hello = Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]);
  const slow = await Promise.all(Array.from({ length: 100 }, dialled));
  for (const byte of hello) for (const socket of slow) socket.write(Buffer.of(byte));
  await expectOthersServed();
});

it("noise in place of TLS, and noise inside it, ends that connection only", async () => {
  const outside = await dialled();
  outside.write(Buffer.alloc(64 * 1024, "GET / HTTP/1.1\r\n"));
  await expectClosed([outside]);
  const inside = connectTls({ port: server.port, ...material(), ALPNProtocols: ["h2"] }).on(
    "error",
    () => {},
  );
  sockets.push(inside);
  await once(inside, "secureConnect");
  inside.resume().write(Buffer.alloc(64 * 1024, "no frame of anything "));
  await expectClosed([inside]);
  await expectOthersServed();
});

it("a message larger than any of ours is refused while it comes", async () => {
  const session = connectHttp2(`https://127.0.0.1:${server.port}`, material());
  try {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: HostServiceService.listHosts.path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const frame = Buffer.alloc(5 + 64);
    frame.writeUInt32BE(1024 ** 3, 1);
    stream.write(frame);
    const [headers] = (await once(stream, "response")) as [Record<string, string>];
    const [trailers] =
      headers["grpc-status"] === undefined ? await once(stream.resume(), "trailers") : [headers];
    expect(trailers["grpc-status"]).toBe("8");
  } finally {
    session.destroy();
  }
  await expectOthersServed();
});

it("headers without end are refused", async () => {
  const session = connectHttp2(`https://127.0.0.1:${server.port}`, material()).on("error", () => {});
  try {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: HostServiceService.listHosts.path,
      "content-type": "application/grpc",
      ...Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`x-${at}`, "a".repeat(1_000)])),
    });
    const [error] = (await once(stream, "error")) as [Error];
    expect(error.message).toMatch(/REFUSED_STREAM|ENHANCE_YOUR_CALM/);
  } finally {
    session.destroy();
  }
  await expectOthersServed();
});

it.each([
  ["has expired", -10],
  ["is not valid yet", 10],
])("a certificate of our CA that %s opens nothing", async (_what, days) => {
  const another = new Date(Date.now() + days * 86_400_000);
  const { certPem, keyPem } = await issueCertificate(certificates.authority, {
    identity: { kind: "user", name: "old", role: "admin", domain: certificates.domain },
    addresses: [],
    days: 1,
    now: another,
  });
  const wrong = { ...user.material, cert: Buffer.from(certPem), key: Buffer.from(keyPem) };
  const socket = connectTls({ port: server.port, ...material(), cert: wrong.cert, key: wrong.key }).on(
    "error",
    () => {},
  );
  sockets.push(socket);
  await expectClosed([socket]);
  await expectOthersServed();
});
