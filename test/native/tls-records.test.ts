/**
 * TLS 1.3 records of our own sealing (native/src/transfer/record_key.h) before judges that are not ours: OpenSSL's record layer at
 * the other end, in Node and in `openssl s_client`, with every cipher; and a peer that does with its records what no library does.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, createServer, type Server } from "node:tls";
import * as fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { TlsMaterial } from "../../agent/transfer/channel.js";
import { type Connection, loadTransfer } from "../../native/lib/transfer.js";
import { waitFor } from "../lab/lab.js";
import { frameOf } from "./support/raw-frames.js";
import { ALERT, DATA, HANDSHAKE, RecordPeer } from "./support/record-peer.js";
import { createTestAuthority } from "./support/test-pki.js";

const transfer = loadTransfer();
const SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
/** Around a record's 16 KiB, and the longest payload of a frame that is not data. */
const SIZES = [0, 1, 59, 16_383, 16_384, 16_385, 100_000, 131_072];
const HAVE = 4;
const NO_DIGEST = new Uint8Array(32);

let own: TlsMaterial;
let peer: TlsMaterial;
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  const authority = await createTestAuthority();
  [own, peer] = [await authority.agent("h1"), await authority.agent("h2")];
});

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

/** A port that hands each connection to `serve`. */
async function listen(serve: (connection: Connection) => unknown): Promise<number> {
  const listener = new transfer.Listener(
    connection => {
      ends.push(() => connection.sever());
      serve(connection);
    },
    () => {},
  );
  ends.push(() => listener.close());
  return await listener.listen("127.0.0.1", 0, 8, 5000, own.ca, own.cert, own.key);
}

const send = (connection: Connection, payload: Uint8Array) =>
  connection.send(HAVE, 0, 0, 0, NO_DIGEST, payload);

/** Gives each frame back until the peer ends, or the test. */
async function echo(connection: Connection): Promise<void> {
  try {
    for (;;) {
      const frame = await connection.receive();
      if (frame === undefined) return await connection.finish();
      await send(connection, frame.payload);
    }
  } catch (error) {
    expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_TRANSFER_(STOPPED|LOST)$/) });
  }
}

async function nodeEchoes(ciphers: string): Promise<number> {
  const server: Server = createServer(
    { ...peer, ciphers, requestCert: true, minVersion: "TLSv1.3" },
    socket => {
      socket.on("error", () => {}).pipe(socket);
    },
  );
  ends.push(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

describe.each(SUITES)("with %s", ciphers => {
  it("a client is understood by OpenSSL's records, and understands them", async () => {
    const connection = new transfer.Connection(own.ca, own.cert, own.key);
    ends.push(() => connection.sever());
    await connection.dial("127.0.0.1", await nodeEchoes(ciphers), 5000);
    for (const size of SIZES) {
      const payload = randomBytes(size);
      await send(connection, payload);
      const frame = await connection.receive();
      expect(frame?.payload.equals(payload), `${size} bytes`).toBe(true);
    }
  });

  it("a server is understood by OpenSSL's records, and understands them", async () => {
    const port = await listen(echo);
    const socket = connectTls({ ...peer, port, ciphers, checkServerIdentity: () => undefined });
    ends.push(() => socket.destroy());
    await once(socket, "secureConnect");
    expect(socket.getCipher().standardName).toBe(ciphers);
    const sent = Buffer.concat(SIZES.map(size => frameOf({ type: HAVE }, randomBytes(size))));
    socket.end(sent);
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
  });
});

describe("a new key", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ferry-records-"));
    for (const part of ["ca", "cert", "key"] as const) await writeFile(join(folder, part), peer[part]);
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** `openssl s_client`, which sends a key update for a line that begins with k, and with K asks for ours too. */
  function sClient(port: number): { process: ChildProcess; said: () => string } {
    const names = ["-CAfile", join(folder, "ca"), "-cert", join(folder, "cert"), "-key", join(folder, "key")];
    const process = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, "-tls1_3", ...names]);
    let said = "";
    for (const output of [process.stdout, process.stderr]) {
      output.setEncoding("latin1").on("data", text => {
        said += text;
      });
    }
    ends.push(() => process.kill());
    return { process, said: () => said };
  }

  it.each(["K", "k"])("that OpenSSL takes (%s) is taken, and given when it is asked for", async command => {
    const { process, said } = sClient(await listen(echo));
    const until = (text: string) => waitFor(() => said().includes(text), { deadlineMs: 20_000, what: text });
    await until("Verify return code");
    for (const word of ["first", "second", "third"]) {
      process.stdin?.write(frameOf({ type: HAVE }, Buffer.from(`${word} payload`)));
      await until(`${word} payload`);
      const before = said().split("KEYUPDATE").length;
      process.stdin?.write(`${command}\n`);
      await waitFor(() => said().split("KEYUPDATE").length > before, {
        deadlineMs: 20_000,
        what: "KEYUPDATE",
      });
    }
  });

  it("is given once for each time that it is asked for, before the next data", async () => {
    const port = await listen(echo);
    const client = await RecordPeer.connect(port, peer);
    ends.push(() => client.close());
    const frame = frameOf({ type: HAVE }, Buffer.from("payload"));
    for (const asks of [true, false, true]) {
      client.send(client.sealKeyUpdate(asks), client.seal(DATA, frame));
      if (asks) expect((await client.receive()).type).toBe(HANDSHAKE);
      const [header, payload] = [await client.receive(), await client.receive()];
      expect(Buffer.concat([header.content, payload.content]).subarray(60).toString()).toBe("payload");
    }
  });
});

describe("a server that is sent records by hand", () => {
  const PAYLOAD = Buffer.from("what was meant");
  const FRAME = frameOf({ type: HAVE }, PAYLOAD);

  /** What became of the first frame: its payload, "closed", or the code of the error. */
  async function outcome(act: (client: RecordPeer) => void): Promise<string> {
    let settle: (text: string) => void = () => {};
    const settled = new Promise<string>(resolve => {
      settle = resolve;
    });
    const port = await listen(connection =>
      connection.receive().then(
        frame => settle(frame?.payload.toString() ?? "closed"),
        error => settle(`${error.code} ${error.message}`),
      ),
    );
    const client = await RecordPeer.connect(port, peer);
    ends.push(() => client.close());
    act(client);
    return await settled;
  }

  it("takes content however it is split and padded, and records without any", async () => {
    const split = fc.array(fc.record({ length: fc.nat(40), padding: fc.constantFrom(0, 1, 200) }), {
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(split, async pieces => {
        const answer = await outcome(client => {
          let rest = FRAME;
          for (const { length, padding } of pieces) {
            client.send(client.seal(DATA, rest.subarray(0, length), padding));
            rest = rest.subarray(length);
          }
          client.send(client.seal(DATA, rest));
        });
        expect(answer).toBe(PAYLOAD.toString());
      }),
      { numRuns: 20 },
    );
  });

  it("takes no record in which any bit is another", async () => {
    const sealedBytes = FRAME.length + 22;
    await fc.assert(
      fc.asyncProperty(fc.nat(sealedBytes * 8 - 1), async bit => {
        const answer = await outcome(client => {
          const record = client.seal(DATA, FRAME);
          record[bit >> 3] = (record[bit >> 3] as number) ^ (1 << (bit & 7));
          client.end(record);
        });
        expect(answer).toMatch(/^ERR_TRANSFER_LOST/);
      }),
      { numRuns: 60 },
    );
  });

  /** The frame in two records; in what order, and how often, each is sent. */
  it.each([
    ["is missing", [1]],
    ["comes again", [0, 0, 1]],
    ["comes too early", [1, 0]],
  ])("takes nothing when a record %s", async (_, order) => {
    const answer = await outcome(client => {
      const records = [client.seal(DATA, FRAME.subarray(0, 60)), client.seal(DATA, FRAME.subarray(60))];
      client.end(...order.map(index => records[index] as Buffer));
    });
    expect(answer).toMatch(/^ERR_TRANSFER_LOST .*not authentic/);
  });

  const UPDATE = Buffer.from([24, 0, 0, 1, 0]);

  it.each<[string, (client: RecordPeer) => Buffer]>([
    [
      "a record longer than any may be",
      () => Buffer.concat([Buffer.from([23, 3, 3, 0x41, 0x01]), randomBytes(0x4101)]),
    ],
    ["a record too short for its tag", () => Buffer.from([23, 3, 3, 0, 16, ...randomBytes(16)])],
    ["an alert that is not sealed", () => Buffer.from([ALERT, 3, 3, 0, 2, 2, 40])],
    ["a handshake record that is not sealed", () => Buffer.from([HANDSHAKE, 3, 3, 0, 5, ...UPDATE])],
    ["content of an unknown type", client => client.seal(99, Buffer.from("?"))],
    ["content without a type", client => client.seal(0, Buffer.alloc(5))],
    ["half a handshake message", client => client.seal(HANDSHAKE, UPDATE.subarray(0, 3))],
    [
      "a handshake message that is too long for its record",
      client => client.seal(HANDSHAKE, Buffer.from([4, 0xff, 0xff, 0xff, 0])),
    ],
    ["something behind a key update", client => client.seal(HANDSHAKE, Buffer.concat([UPDATE, UPDATE]))],
    ["a second client hello", client => client.seal(HANDSHAKE, Buffer.from([1, 0, 0, 1, 0]))],
    ["half an alert", client => client.seal(ALERT, Buffer.from([2]))],
    ["half a record", client => client.seal(DATA, FRAME).subarray(0, 40)],
    ["noise", () => randomBytes(1000)],
  ])("ends the connection at %s", async (_, make) => {
    expect(await outcome(client => client.end(make(client)))).toMatch(/^ERR_TRANSFER_LOST/);
  });

  it("tells what the peer's alert says, in OpenSSL's words", async () => {
    const answer = await outcome(client => client.send(client.seal(ALERT, Buffer.from([2, 42]))));
    expect(answer).toBe("ERR_TRANSFER_LOST receive: ssl/tls alert bad certificate");
  });

  it("takes nothing more after the peer's farewell", async () => {
    const answer = await outcome(client =>
      client.send(client.seal(ALERT, Buffer.from([1, 0])), client.seal(DATA, FRAME)),
    );
    expect(answer).toBe("closed");
  });
});
