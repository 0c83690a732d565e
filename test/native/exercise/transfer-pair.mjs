/** Two ends of the transfer addon in one process, over real TLS: certificates, a listener, and copies of a file. */

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MIB = 2 ** 20;
const SIZE = 40 * MIB + 777;
const HELLO = 1;
const WELCOME = 2;
const NONE = new Uint8Array(0);
const NO_DIGEST = new Uint8Array(32);

export async function transferPair(addonPath) {
  const addon = createRequire(import.meta.url)(addonPath);
  const directory = mkdtempSync(join(tmpdir(), "ferry-pair-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const tls = certificates(directory);
  const waiting = [];
  const listener = new addon.Listener(
    connection => waiting.shift()?.(connection),
    () => {},
  );
  const port = await listener.listen("127.0.0.1", 0, 64, 5000, ...tls);
  const source = join(directory, "source");
  const half = SIZE / 2;
  // One half shrinks, the other does not.
  writeFileSync(
    source,
    Buffer.concat([randomBytes(SIZE - Math.floor(half)), Buffer.alloc(Math.floor(half), "ferry")]),
  );
  let copies = 0;

  /** The next connection, at the listener's end. */
  const accept = () => new Promise(resolve => waiting.push(resolve));

  /** A connection from both of its ends. */
  async function connect() {
    const accepted = accept();
    const dialled = new addon.Connection(...tls);
    await dialled.dial("127.0.0.1", port, 5000);
    return { dialled, accepted: await accepted };
  }

  /** Copies the file through one connection; `disturb` may do what it likes with both of its ends. */
  async function copy(disturb = () => {}) {
    const { dialled, accepted } = await connect();
    const [algorithm] = addon.algorithms;
    const names = [source, join(directory, `copy-${copies}`), join(directory, `journal-${copies}`)];
    copies += 1;
    const [from, to, journal] = names.map((name, index) => openSync(name, index === 0 ? "r" : "w+"));
    const [sent, verified] = [0, 0].map(() => new addon.DigestTree(algorithm, SIZE));
    const parts = new addon.PartTable();
    parts.set(0, new addon.Part(to, journal, 0, verified, undefined, "cache", undefined));
    const queue = new addon.SegmentQueue(algorithm);
    queue.add(0, from, sent, undefined);
    try {
      await dialled.send(HELLO, 0, 0, 0, NO_DIGEST, randomBytes(1000));
      await accepted.receive();
      await accepted.send(WELCOME, 0, 0, 0, NO_DIGEST, NONE);
      await dialled.receive();
      const compression = addon.compressions.length > 0 ? "zstd" : "off";
      if (compression !== "off") accepted.allowCompression();
      const serving = accepted.serveParts(parts);
      const sending = dialled
        .sendSegments(queue, [new addon.TokenBucket()], compression)
        .then(() => dialled.finish());
      disturb(dialled, accepted);
      await Promise.allSettled([serving, sending]);
      return verified.isComplete && verified.root().equals(sent.root());
    } finally {
      await Promise.allSettled([accepted.finish()]);
      for (const fd of [from, to, journal]) closeSync(fd);
      for (const name of names.slice(1)) rmSync(name);
    }
  }

  const dispose = () => {
    listener.close();
    rmSync(directory, { recursive: true });
  };
  const [ca, cert, key] = tls;
  return { addon, port, material: { ca, cert, key }, accept, connect, copy, dispose };
}

/** One self-signed certificate is authority and both ends. */
function certificates(directory) {
  const [key, certificate] = ["key.pem", "cert.pem"].map(name => join(directory, name));
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ferry";
  const out = ["-keyout", key, "-out", certificate];
  execFileSync("openssl", [...request.split(" "), ...out], { stdio: "ignore" });
  const pem = readFileSync(certificate, "utf8");
  return [pem, pem, readFileSync(key, "utf8")];
}
