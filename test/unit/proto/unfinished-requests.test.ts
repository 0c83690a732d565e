/**
 * Clients that have a certificate, answer each ping, and begin a request that they never finish, or ask for an answer that
 * they never take. Such a call ends in time, with a status where one can be told, and others of the same connection go on.
 */

import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { HostServiceService } from "../../../proto/gen/ferry/v1/controller.js";
import { Event, EventServiceService } from "../../../proto/gen/ferry/v1/event.js";
import { createServer, implement, type RunningServer } from "../../../proto/rpc-server.js";
import type { TlsSource } from "../../../proto/tls-source.js";
import { Certificates } from "./certificates.js";
import { emptyFleet } from "./empty-fleet.js";
import { CLOSED_WITHIN_MS, expectNothingLeft, LIMITS } from "./slow-sockets.js";

/** Client and server share one event loop, which a busy machine keeps waiting: an honest request takes far less than this. */
const REQUEST_MS = 750;
const ANSWER_BYTES = 1024 * 1024;
/** Of so many streams together less than Node gives one connection, 10 MiB, and leaked thrice more than is taken for growth. */
const BEGUN_BYTES = 48 * 1024;
/** A quarter of those that the server takes: it counts one until it has seen to its end. */
const STREAMS = 100;
const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/** That a deadline passed; that a message is too large; that there is no such method. */
const [LATE, TOO_LARGE, UNKNOWN] = ["4", "8", "12"];
const CALLS = { unary: HostServiceService.listHosts.path, watch: EventServiceService.watchEvents.path };

let certificates: Certificates;
let user: TlsSource;
let server: RunningServer;
const sessions: ClientHttp2Session[] = [];

beforeAll(async () => {
  certificates = await Certificates.make();
  user = await certificates.tls({ kind: "user", name: "al", role: "admin" });
  const tls = await certificates.tls({ kind: "controller", name: "ctl" });
  const limits = { ...LIMITS, requestMs: REQUEST_MS, streams: 4 * STREAMS };
  server = await createServer({ tls, address: "127.0.0.1:0", services: [emptyFleet(), events], limits });
});
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
});
afterAll(async () => {
  await server.close();
  certificates[Symbol.dispose]();
});

const event = (serverName: string) => Event.fromPartial({ serverName });

/** A long answer; and two short ones, and between these nothing for longer than any request may take. */
const events = implement(EventServiceService, {
  listEvents: async () => ({ events: [event("e".repeat(ANSWER_BYTES))], lost: 0 }),
  watchEvents: async function* () {
    yield { event: event("first"), lost: 0 };
    await sleep(2 * REQUEST_MS);
    yield { event: event("second"), lost: 0 };
  },
});

function dial(settings: { initialWindowSize?: number } = {}): ClientHttp2Session {
  const { ca, cert, key } = user.material;
  const trusted = { ca, cert, key, checkServerIdentity: () => undefined };
  const session = connect(`https://127.0.0.1:${server.port}`, { ...trusted, settings });
  sessions.push(session.on("error", () => {}));
  return session;
}

function begin(session: ClientHttp2Session, path: string, headers = {}): ClientHttp2Stream {
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  return stream.on("error", () => {});
}

/** An empty message; `sizeBytes`: what its prefix says of it. */
function prefix(sizeBytes = 0): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(sizeBytes, 1);
  return bytes;
}

/** And then writes one byte after the other, for as long as it is let. */
function drip(stream: ClientHttp2Stream, start = prefix()): void {
  stream.write(start);
  const timer = setInterval(() => stream.destroyed || stream.write(Buffer.alloc(1)), 20);
  stream.once("close", () => clearInterval(timer));
}

/** What is said of the call at its end. */
async function statusOf(stream: ClientHttp2Stream): Promise<string> {
  let said: unknown;
  stream.on("response", headers => {
    said ??= headers["grpc-status"];
  });
  stream.on("trailers", trailers => {
    said ??= trailers["grpc-status"];
  });
  await Promise.race([once(stream.resume(), "close"), tooLate()]);
  return String(said);
}

const tooLate = () =>
  new Promise((_, reject) => {
    setTimeout(() => reject(new Error("the stream is still open")), CLOSED_WITHIN_MS).unref();
  });

async function expectServedBy(session: ClientHttp2Session): Promise<void> {
  const stream = begin(session, CALLS.unary);
  stream.end(prefix());
  expect(await statusOf(stream)).toBe("0");
}

it.each<[string, string, (stream: ClientHttp2Stream) => void]>([
  ["say nothing more", LATE, () => {}],
  ["send their message byte by byte", LATE, stream => drip(stream, prefix(9_999))],
  ["send empty frames", LATE, stream => void stream.write("")],
  ["send their message, and do not say that it is the last one", LATE, stream => void stream.write(prefix())],
  ["send a message that was refused already", TOO_LARGE, stream => drip(stream, prefix(2 ** 30))],
])("lets go of requests that %s", async (_what, expected, behave) => {
  const session = dial();
  const streams = Object.values(CALLS).map(path => begin(session, path));
  for (const stream of streams) behave(stream);
  const statuses = Promise.all(streams.map(statusOf));
  await expectServedBy(session);
  expect(await statuses).toEqual([expected, expected]);
  await expectServedBy(session);
});

it("lets go of a request whose own deadline has passed, and that goes on", async () => {
  const stream = begin(dial(), CALLS.unary, { "grpc-timeout": "50m" });
  drip(stream);
  expect(await statusOf(stream)).toBe(LATE);
});

it.each([
  ["no method", UNKNOWN, { [constants.HTTP2_HEADER_PATH]: "/ferry.v1.HostService/Nothing" }],
  ["no gRPC", undefined, { "content-type": "text/plain" }],
])("lets go of a request that goes on though it is of %s", async (_what, expected, headers) => {
  const stream = begin(dial(), CALLS.unary, headers);
  drip(stream);
  expect(await statusOf(stream)).toBe(String(expected));
});

it("lets go of a message in a stream of them that is never finished, and of no stream that is silent", async () => {
  const session = dial();
  const [patient, slow] = [begin(session, REFLECTION), begin(session, REFLECTION)];
  drip(slow, prefix(9_999));
  expect(await statusOf(slow)).toBe(LATE);
  await sleep(2 * REQUEST_MS);
  expect(patient.closed).toBe(false);
  patient.end(prefix());
  expect(await statusOf(patient)).toBe("0");
});

it("lets go of an answer that is never taken", async () => {
  const stream = begin(dial({ initialWindowSize: 0 }), EventServiceService.listEvents.path);
  stream.end(prefix());
  expect(await statusOf(stream)).toBe("undefined");
  expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
});

it("answers for as long as it takes", async () => {
  const stream = begin(dial(), CALLS.watch);
  stream.end(prefix());
  const pieces: Buffer[] = [];
  stream.on("data", piece => pieces.push(piece as Buffer));
  expect(await statusOf(stream)).toBe("0");
  expect(String(Buffer.concat(pieces))).toMatch(/first.*second/s);
});

it("holds nothing of requests that it has let go of, on a connection that stays", async () => {
  const session = dial();
  await expectNothingLeft(async () => {
    const streams = Array.from({ length: STREAMS }, () => begin(session, CALLS.unary));
    for (const stream of streams) stream.write(Buffer.concat([prefix(2 ** 20), Buffer.alloc(BEGUN_BYTES)]));
    await Promise.all(streams.map(statusOf));
    await expectServedBy(session);
  });
});
